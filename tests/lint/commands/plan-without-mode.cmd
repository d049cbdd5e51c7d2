plan --cores 4
