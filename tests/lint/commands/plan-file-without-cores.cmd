plan network-telemetry.yaml
