"""The embedded broker: Knative Broker semantics over HTTP for one machine."""
