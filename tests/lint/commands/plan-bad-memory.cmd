plan --cores 4 --mode ingest --memory much
