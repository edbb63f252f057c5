"""What the tests with real clients share: our node, a real Apache Kafka, and the tools of both."""
