"""What a function does with a wrong or missing setting: it does not start, and says in one sentence which one it is."""

import runpy
from dataclasses import replace

import pytest
from paidup.edge import settings
from paidup.edge.settings import WrongSetting
from paidup.model.bucket import Limits
from paidup.model.policy import DAY_S, Policy

from tools.local import template

DEPLOYED = template.read()
PARAMETERS = {
    "PAIDUP_CHECKOUT_LIFETIME_S": "CheckoutLifetimeSeconds",
    "PAIDUP_GRACE_S": "GraceSeconds",
    "PAIDUP_EVENT_RETENTION_S": "EventRetentionSeconds",
    "PAIDUP_ACCEPT_WITHIN_S": "AcceptWithinSeconds",
    "PAIDUP_UNACCEPTED_BOOKINGS": "UnacceptedBookings",
    "PAIDUP_DUPLICATE_PAYMENTS": "DuplicatePayments",
    "PAIDUP_CANCEL_NOW": "CancelNow",
    "PAIDUP_PAUSED_COLLECTION": "PausedCollection",
    "PAIDUP_PENDING_DEBITS": "PendingDebits",
    "PAIDUP_READS_PER_SECOND": "ReadsPerSecond",
    "PAIDUP_READS_PER_MONTH": "ReadsPerMonth",
}  # of the policy, and where each comes from
NUMBERS = [name for name in PARAMETERS if name.endswith(("_S", "_SECOND", "_MONTH"))]

BILLS = {"PAIDUP_TABLE", "PAIDUP_BILLING_AUDIENCE"}
SELLS = {"PAIDUP_TABLE", "PAIDUP_STRIPE_SECRET"}
IDENTITY = {"PAIDUP_IDENTITY_ISSUER", "PAIDUP_IDENTITY_AUDIENCE", "PAIDUP_IDENTITY_JWKS_URL"}
PUSHES = {"PAIDUP_TABLE", "PAIDUP_REALTIME_URL"}
NEEDS = {
    "authorize": IDENTITY,
    "bookings": {"PAIDUP_TABLE"},
    "client_metrics": set(),
    "create_payment_token": SELLS | {"PAIDUP_ALLOWED_ORIGINS"},
    "expire_sessions": SELLS,
    "issue_billing_token": BILLS | {"PAIDUP_SIGNING_KEYS_SECRET"},
    "manage_checkout": SELLS,
    "manage_purchase": SELLS | {"PAIDUP_ALLOWED_ORIGINS"},
    "manual_sync": SELLS,
    "members": BILLS,
    "process_webhook": SELLS | {"PAIDUP_WEBHOOK_QUEUE_URL"},
    "push_billing_changes": PUSHES,
    "realtime": PUSHES | IDENTITY | {"PAIDUP_ALLOWED_ORIGINS"},
    "receive_webhook": SELLS | {"PAIDUP_WEBHOOK_QUEUE_URL"},
    "reconcile_payments": SELLS | {"PAIDUP_WEBHOOK_QUEUE_URL", "PAIDUP_API_URL"},
    "storefront": {"PAIDUP_TABLE", "PAIDUP_IDENTITY_ISSUER", "PAIDUP_IDENTITY_AUDIENCE"},
    "subscription_status": SELLS,
    "support_desk": SELLS | {"PAIDUP_DEAD_LETTERS_URL"},
}
# Stripe's own, no other than the issuer's, and the API's own URL
MAY_BE_EMPTY = {"PAIDUP_STRIPE_API_BASE", "PAIDUP_IDENTITY_ORIGINS", "PAIDUP_BILLING_ISSUER"}

LIBRARIES = {"PYDANTIC_DISABLE_PLUGINS", "POWERTOOLS_SERVICE_NAME", "PYTHONWARNINGS"}  # what others read
DECIDES_NOTHING = {"authorize", "client_metrics", "push_billing_changes", "realtime"}

NEEDED = [(function, name) for function, names in NEEDS.items() for name in sorted(names)]
CHOSEN = [(function, name) for function in NEEDS if function not in DECIDES_NOTHING for name in PARAMETERS]


def start(function: str) -> None:
    """Run the code of *function* as a cold start does, beside what other tests have imported of it."""
    runpy.run_path(str(DEPLOYED.functions[function].code / "app.py"))


@pytest.fixture(autouse=True)
def _defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin with what every function needs (tests/conftest.py) and nothing that somebody chose."""
    for name in PARAMETERS:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("function", NEEDS)
def test_a_function_starts_with_what_it_needs_and_nothing_else(function: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in set().union(*NEEDS.values()) - NEEDS[function]:
        monkeypatch.delenv(name)

    start(function)


def test_the_template_gives_each_function_what_it_needs_and_everything_that_it_gives_is_needed() -> None:
    given = {function.name: set(function.environment) for function in DEPLOYED.functions.values()}
    shared = set.intersection(*given.values())

    assert given.keys() == NEEDS.keys()
    for function, names in NEEDS.items():
        assert names <= given[function]
        assert given[function] - shared <= names | MAY_BE_EMPTY
    assert shared <= set().union(*NEEDS.values()) | set(PARAMETERS) | MAY_BE_EMPTY | LIBRARIES


@pytest.mark.parametrize("value", [None, "", "  "])
@pytest.mark.parametrize(("function", "name"), NEEDED)
def test_without_one_of_its_settings_a_function_does_not_start(
    function: str, name: str, value: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if value is None:
        monkeypatch.delenv(name)
    else:
        monkeypatch.setenv(name, value)
    with pytest.raises(WrongSetting) as told:
        start(function)
    assert str(told.value) == f"The setting {name} is missing."


@pytest.mark.parametrize(("function", "name"), CHOSEN)
def test_with_a_senseless_choice_of_the_policy_a_function_does_not_start(
    function: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "soon")
    with pytest.raises(WrongSetting, match=rf"^The setting {name} must be .*, not 'soon'\.$"):
        start(function)


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("PAIDUP_CHECKOUT_LIFETIME_S", "60", "must be a whole number of seconds from 1800 to 86400, not '60'."),
        ("PAIDUP_CHECKOUT_LIFETIME_S", "86401", "must be a whole number of seconds from 1800 to 86400, not '86401'."),
        ("PAIDUP_GRACE_S", "-1", "must be a whole number of seconds from 0 to 5184000, not '-1'."),
        ("PAIDUP_GRACE_S", "7.5", "must be a whole number of seconds from 0 to 5184000, not '7.5'."),
        (
            "PAIDUP_EVENT_RETENTION_S",
            "86400",
            "must be a whole number of seconds from 3024000 to 315360000, not '86400'.",
        ),
        ("PAIDUP_ACCEPT_WITHIN_S", "59", "must be a whole number of seconds from 60 to 86400, not '59'."),
        ("PAIDUP_UNACCEPTED_BOOKINGS", "keep", "must be one of refund, credit, not 'keep'."),
        ("PAIDUP_DUPLICATE_PAYMENTS", "credit", "must be one of refund, keep, not 'credit'."),
        ("PAIDUP_PAUSED_COLLECTION", "gift", "must be one of end, keep, not 'gift'."),
        ("PAIDUP_PENDING_DEBITS", "yes", "must be one of wait, grant, not 'yes'."),
        ("PAIDUP_READS_PER_SECOND", "1", "must be a whole number from 2 to 10000, not '1'."),
        ("PAIDUP_CANCEL_NOW", "yes", "must be one of refuse, allow, not 'yes'."),
    ],
)
def test_a_choice_out_of_bounds_is_told_with_the_bounds(
    name: str, value: str, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(WrongSetting) as told:
        settings.policy()
    assert str(told.value) == f"The setting {name} {sentence}"


def accepted(name: str, value: int) -> bool:
    """Say whether the functions start with *value* as the setting *name*."""
    with pytest.MonkeyPatch.context() as changed:
        changed.setenv(name, str(value))
        try:
            settings.policy()
        except WrongSetting:
            return False
        return True


@pytest.mark.parametrize("name", NUMBERS)
def test_a_deployment_is_refused_what_the_functions_would_not_start_with(name: str) -> None:
    bounds = DEPLOYED.parameters[PARAMETERS[name]]
    least, most = bounds["MinValue"], bounds["MaxValue"]
    assert [accepted(name, value) for value in (least - 1, least, most, most + 1)] == [False, True, True, False]


@pytest.mark.parametrize("name", ["PAIDUP_UNACCEPTED_BOOKINGS", "PAIDUP_DUPLICATE_PAYMENTS"])
def test_a_deployment_offers_the_choices_that_there_are(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    choices = []
    for value in DEPLOYED.parameters[PARAMETERS[name]]["AllowedValues"]:
        monkeypatch.setenv(name, value)
        choices.append(settings.policy())
    assert len(set(choices)) == len(choices) == 2


def test_who_chooses_nothing_has_the_policy_that_a_deployment_proposes(monkeypatch: pytest.MonkeyPatch) -> None:
    own = settings.policy()
    assert own == Policy(
        checkout_lifetime_s=DAY_S,
        grace_s=7 * DAY_S,
        event_retention_s=90 * DAY_S,
        accept_within_s=15 * 60,
        refund_duplicate_payments=True,
        credit_unaccepted_bookings=False,
    )
    for name, parameter in PARAMETERS.items():
        monkeypatch.setenv(name, str(DEPLOYED.parameters[parameter]["Default"]))
    assert settings.policy() == own


def test_what_is_chosen_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = ("1800", "0", "3024000", "60", "credit", "keep", "allow", "keep", "grant", "5", "20000")
    for name, value in zip(PARAMETERS, chosen, strict=True):
        monkeypatch.setenv(name, value)
    assert settings.policy() == replace(
        Policy(),
        checkout_lifetime_s=1_800,
        grace_s=0,
        event_retention_s=35 * DAY_S,
        accept_within_s=60,
        credit_unaccepted_bookings=True,
        refund_duplicate_payments=False,
        cancel_now=True,
        keep_paused_collection=True,
        grant_pending_debits=True,
        reads=Limits(per_second=5, for_polls=2, least_a_month=20_000),
    )


@pytest.mark.parametrize(
    "wrong",
    [
        *("https://shop.example/checkout", "https://shop.example?x=1", "https://shop.example#top"),
        *("shop.example", "ftp://shop.example", "https:", "https://[", "https://us@shop.example", "*", "null"),
    ],
)
def test_what_is_no_origin_is_told_before_a_buyer_is_sent_there(wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAIDUP_ALLOWED_ORIGINS", f"https://shop.example,{wrong}")
    with pytest.raises(WrongSetting) as told:
        start("create_payment_token")
    assert str(told.value) == f"The setting PAIDUP_ALLOWED_ORIGINS must list origins like https://a.b, not {wrong!r}."


def test_origins_are_read_as_people_write_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAIDUP_ALLOWED_ORIGINS", "https://Shop.example/, http://127.0.0.1:8787 ,")
    assert settings.origins() == ("https://shop.example", "http://127.0.0.1:8787")


def test_a_list_without_any_origin_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAIDUP_ALLOWED_ORIGINS", " , ")
    with pytest.raises(WrongSetting, match="PAIDUP_ALLOWED_ORIGINS must list origins"):
        start("create_payment_token")
