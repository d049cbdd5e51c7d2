help plna
