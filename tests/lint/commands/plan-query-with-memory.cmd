plan --cores=64 --mode=query --memory=128GiB --storage-engine parquet
