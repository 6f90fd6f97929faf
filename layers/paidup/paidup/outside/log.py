"""What operators read: one structured logger. Never a body, a header, a token, a card or an e-mail address."""

from aws_lambda_powertools import Logger

logger = Logger(service="paidup")
