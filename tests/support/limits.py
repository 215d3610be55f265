"""What each destination documents that it takes, as assertions.

Slack: the block models of slack_sdk, the limits that slackblocks knows. Discord: the pages on messages and webhooks of
its API documentation. Teams: the elements of the schema of Adaptive Cards 1.4.0. PagerDuty: its page on trigger events.
"""

import json
import re
from urllib.parse import urlsplit

from slack_sdk.models.attachments import BlockAttachment
from slack_sdk.models.blocks import Block
from slackblocks import _limits


def slack(payload: dict) -> None:
    assert set(payload) <= {"text", "blocks", "attachments"}
    assert 0 < len(payload["text"]) <= 4000
    assert len(json.dumps(payload)) < 8000
    assert len(payload.get("attachments", [])) <= 1
    _slack_blocks(payload.get("blocks", []))
    for over in payload.get("attachments", []):
        _slack_blocks(over["blocks"])
        made = BlockAttachment(blocks=Block.parse_all(over["blocks"]), color=over["color"], fallback=over["fallback"])
        assert {key: value for key, value in made.to_dict().items() if value} == over
        assert re.fullmatch(r"#[0-9a-f]{6}", over["color"])


def _slack_blocks(blocks: list) -> None:
    assert {block["type"] for block in blocks} <= {"header", "section", "context"}
    assert [block.to_dict() for block in Block.parse_all(blocks)] == blocks  # validates, and knows every key
    for block in blocks:
        if block["type"] == "header":
            assert 0 < len(block["text"]["text"]) <= _limits.HEADER_TEXT_MAX_LENGTH
        elif block["type"] == "section":
            texts = [block["text"]] if "text" in block else []
            assert all(0 < len(text["text"]) <= _limits.SECTION_TEXT_MAX_LENGTH for text in texts)
            fields = block.get("fields", [])
            assert len(fields) <= _limits.SECTION_FIELDS_MAX_ITEMS
            assert all(0 < len(field["text"]) <= 2000 for field in fields)
        else:
            assert 0 < len(block["elements"]) <= _limits.CONTEXT_ELEMENTS_MAX_ITEMS


def slack_marks(payload: dict) -> list[str]:
    """Everything that Slack would make a link, a mention or a date of, wherever it stands."""
    texts = [payload["text"]]
    for block in [
        *payload.get("blocks", []),
        *(one for over in payload.get("attachments", []) for one in over["blocks"]),
    ]:
        objects = [block.get("text"), *block.get("fields", []), *block.get("elements", [])]
        texts += [one["text"] for one in objects if one and one["type"] == "mrkdwn"]
    marks = []
    for text in texts:
        marks += re.findall(r"<[^>]*>?", text)
        bare = re.sub(r"`[^`\n]*`|<[^>]*>", "", text)
        assert "`" not in bare
        marks += re.findall(r"\S*(?:://|www\.)\S*", bare, re.IGNORECASE)
    return marks


def discord(payload: dict, *, count=lambda text: len(text.encode("utf-16-le")) // 2) -> None:
    assert set(payload) == {"content", "embeds", "allowed_mentions", "attachments"}
    assert payload["allowed_mentions"] == {"parse": []}
    assert payload["content"] or payload["embeds"]
    assert count(payload["content"]) <= 2000
    assert len(payload["embeds"]) <= 1
    for embed in payload["embeds"]:
        assert set(embed) <= {"title", "description", "url", "color", "timestamp", "footer", "fields", "image"}
        assert count(embed["title"]) <= 256
        assert count(embed["description"]) <= 4096
        assert count(embed["footer"]["text"]) <= 2048
        fields = embed.get("fields", [])
        assert len(fields) <= 25
        assert all(0 < count(field["name"]) <= 256 and 0 < count(field["value"]) <= 1024 for field in fields)
        texts = [embed["title"], embed["description"], embed["footer"]["text"]]
        assert sum(map(count, texts + [field[key] for field in fields for key in ("name", "value")])) <= 6000
        assert 0 <= embed["color"] <= 0xFFFFFF
    assert all(len(one["description"]) <= 1024 for one in payload["attachments"])


def discord_marks(payload: dict) -> list[str]:
    """Everything that Discord would make a link, a mention, a time or a spoiler of."""
    texts = [payload["content"]]
    for embed in payload["embeds"]:
        texts += [embed["title"], embed["description"], *(field["value"] for field in embed.get("fields", []))]
    marks = []
    for text in texts:
        bare = re.sub(r"\\[^0-9A-Za-z\s]|`[^`\n]*`", "", text)
        marks += re.findall(r"<[^>]*>?|\[[^\]]*\]?|[`@]|\|\||\S*://\S*", bare)
    return marks


_ELEMENT = {"type", "spacing", "separator", "id", "isVisible"}
_TEXT = {"text", "color", "fontType", "isSubtle", "size", "weight"}
_TEAMS = {
    "TextBlock": _ELEMENT | _TEXT | {"wrap", "maxLines", "horizontalAlignment", "style"},
    "RichTextBlock": _ELEMENT | {"inlines", "horizontalAlignment"},
    "TextRun": {"type"} | _TEXT | {"highlight", "italic", "strikethrough", "underline", "selectAction"},
    "FactSet": _ELEMENT | {"facts"},
}
_ENUMS = {
    "color": {"default", "dark", "light", "accent", "good", "warning", "attention"},
    "fontType": {"default", "monospace"},
    "size": {"default", "small", "medium", "large", "extraLarge"},
    "weight": {"default", "lighter", "bolder"},
    "spacing": {"default", "none", "small", "medium", "large", "extraLarge", "padding"},
}


def teams(payload: dict) -> None:
    assert len(json.dumps(payload)) < 20_000
    assert set(payload) == {"type", "attachments"}
    assert payload["type"] == "message"
    [attachment] = payload["attachments"]
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    card = attachment["content"]
    assert set(card) <= {"$schema", "type", "version", "body", "actions"}
    assert (card["type"], card["version"]) == ("AdaptiveCard", "1.4")
    assert card["body"]
    for action in card.get("actions", []):
        assert set(action) == {"type", "title", "url"}
        assert action["type"] == "Action.OpenUrl"
        assert urlsplit(action["url"]).scheme in {"http", "https"}
    for element in card["body"]:
        _teams_element(element)


def _teams_element(element: dict) -> None:
    assert set(element) <= _TEAMS[element["type"]]
    for key, values in _ENUMS.items():
        assert element.get(key, "default") in values
    if element["type"] == "FactSet":
        assert all(set(fact) == {"title", "value"} and fact["title"] and fact["value"] for fact in element["facts"])
    elif element["type"] == "RichTextBlock":
        assert element["inlines"]
        for run in element["inlines"]:
            assert run["type"] == "TextRun"
            _teams_element(run)
    else:
        assert element["text"]


def teams_marks(payload: dict) -> list[str]:
    """All marks of markdown that a card would heed: text runs heed none."""
    body = payload["attachments"][0]["content"]["body"]
    texts = [one["text"] for one in body if one["type"] == "TextBlock"]
    texts += [fact[key] for one in body if one["type"] == "FactSet" for fact in one["facts"] for key in fact]
    return [mark for text in texts for mark in re.findall(r"[*_`\[\]<>]", re.sub(r"\\[\\*_~`|<>\[\]()#!]", "", text))]


def pagerduty(event: dict) -> None:
    assert len(json.dumps(event)) < 512_000
    assert set(event) <= {"routing_key", "event_action", "dedup_key", "payload", "client", "client_url", "links"}
    assert event["routing_key"]
    assert event["event_action"] in {"trigger", "acknowledge", "resolve"}
    assert 0 < len(event["dedup_key"]) <= 255
    payload = event["payload"]
    allowed = {"summary", "source", "severity", "timestamp", "component", "group", "class", "custom_details"}
    assert set(payload) <= allowed
    assert 0 < len(payload["summary"]) <= 1024
    assert payload["source"]
    assert payload["severity"] in {"critical", "error", "warning", "info"}
    for link in event.get("links", []):
        assert set(link) == {"href", "text"}
        assert urlsplit(link["href"]).scheme in {"http", "https"}
