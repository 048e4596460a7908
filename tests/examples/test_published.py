"""What the platform really publishes is what the contracts promise to subscribers."""

from __future__ import annotations

import json

from jsonschema import Draft202012Validator

from coterie_contracts.envelope import decode
from coterie_contracts.samples import key_of
from coterie_contracts.schemas import headers, schema
from coterie_contracts.topics import BODIES, topic_of
from tests.flows.seasons import Played


def test_every_record_of_a_season_keeps_the_promises_of_its_topic(season: Played) -> None:
    head = Draft202012Validator(headers())
    closed = {
        name: Draft202012Validator(schema(topic_of(body), body)) for name, body in BODIES.items()
    }
    met = set()
    for record in season.records:
        attributes = {name: (value or b"").decode() for name, value in record.headers}
        head.validate(attributes)
        assert (record.key or b"").decode() == attributes["ce_subject"]
        if record.value is None:
            continue
        event = decode(record.topic, record.headers, record.value)
        closed[attributes["ce_type"]].validate(json.loads(record.value))
        assert event.source == f"coterie/{topic_of(type(event.data)).owner}"
        assert event.subject == key_of(event.data), record.topic
        met.add(record.topic)

    assert len(met) > len(BODIES) / 2
