"""DynamoDB: the one table, its items and the client that reads and writes them."""
