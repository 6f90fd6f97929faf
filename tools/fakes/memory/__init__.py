"""Stand-ins in memory, for tests and measurements that run thousands of lives."""
