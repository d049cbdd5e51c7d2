plan --cores 8 --mode query --memory 16GiB
