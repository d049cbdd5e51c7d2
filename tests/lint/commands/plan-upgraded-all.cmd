plan --cores 8 --mode all --storage-engine=upgraded
