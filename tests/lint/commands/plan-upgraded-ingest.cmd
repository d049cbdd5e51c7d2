plan --cores 32 --mode ingest
