plan --cores 4 --mode ingest --storage-engine pachatree
