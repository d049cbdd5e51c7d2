plan --cores 32 --mode compact
