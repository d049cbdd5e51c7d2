plan --cores 1 --mode ingest
