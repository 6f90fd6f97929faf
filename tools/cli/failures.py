"""What can keep a command from doing what it was asked for, if one sentence says enough."""

from botocore.exceptions import BotoCoreError, ClientError
from paidup.edge.settings import WrongSetting
from paidup.model.errors import Refusal
from paidup.outside.secrets import BadSecret

from tools.cli.output import Stopped
from tools.local.state import NotRunning
from tools.offers import BadOffers

SAID_IN_ONE_SENTENCE = (Stopped, NotRunning, BadOffers, WrongSetting, BadSecret, Refusal, BotoCoreError, ClientError)
