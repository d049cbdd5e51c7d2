plan --storage-engine upgraded small-3-nodes.yaml
