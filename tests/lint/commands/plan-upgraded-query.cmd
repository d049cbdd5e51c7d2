plan --cores 64 --mode query --memory 128GiB
