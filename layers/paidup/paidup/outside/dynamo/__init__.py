"""DynamoDB: the one table, its items, and the calls that read and write them."""
