"""The table of spec section 5, as far as it is built."""

from __future__ import annotations

import pytest

from failover.core.rescue import MAX_TRIES, Progress, Request, Step, next_step


@pytest.mark.parametrize("request_", Request)
def test_what_was_never_sent_may_go_to_the_next_target(request_):
    assert next_step(Progress.NOTHING_SENT, request_, 1, body_at_hand=True) is Step.NEXT


def test_a_connection_closed_under_a_request_is_tried_fresh_but_never_for_a_post():
    steps = {request: next_step(Progress.REUSED_CLOSED, request, 1, body_at_hand=True) for request in Request}
    assert steps == {
        Request.SAFE: Step.SAME_FRESH,
        Request.IDEMPOTENT: Step.SAME_FRESH,
        Request.ONCE: Step.END,
        Request.KEYED: Step.SAME_FRESH,
    }


@pytest.mark.parametrize("progress", Progress)
@pytest.mark.parametrize("request_", Request)
def test_there_is_an_end(progress, request_):
    assert next_step(progress, request_, MAX_TRIES, body_at_hand=True) is Step.END
    assert next_step(progress, request_, 1, body_at_hand=False) is Step.END
