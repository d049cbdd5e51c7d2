plan --cores 4 medium-6-nodes.yaml
