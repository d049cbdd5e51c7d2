plan --core 4
