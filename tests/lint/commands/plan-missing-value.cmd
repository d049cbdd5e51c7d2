plan --cores 4 --mode
