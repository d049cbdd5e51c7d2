plan --cores 2 --mode all
