plan --cores 32 --mode ingset
