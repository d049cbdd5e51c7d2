plan medium-6-nodes.yaml
