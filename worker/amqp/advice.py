"""What mends a broker that cannot be used, by the words in which it says so."""

from __future__ import annotations

#: By a word of the error; the first that fits.
_ADVICE = {
    "PRECONDITION_FAILED": "what stands there has other arguments: empty it and delete it",
    "feature flag": "on the broker run: rabbitmqctl enable_feature_flag all",
    "CERTIFICATE_VERIFY_FAILED": "see CANCEL_BROKER_CA_FILE and CANCEL_BROKER_SERVER_NAME",
}
_OTHERWISE = "start it or set CELERY_BROKER_URL"


def advice(why: str) -> str:
    """Return what to do about an error of the broker's, or of the way to it."""
    return next((mend for word, mend in _ADVICE.items() if word in why), _OTHERWISE)
