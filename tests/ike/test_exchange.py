"""Message IDs, windows and retransmission."""

import pytest

from rhp.ike.config import Retransmit
from rhp.ike.exchange import RequestWindow, ResponseWindow, Verdict


def test_waits_double_up_to_the_longest():
    policy = Retransmit(tries=8)
    assert [policy.wait(sent) for sent in range(1, 9)] == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 16.0, 16.0]
    assert policy.wait(10_000) == 16.0


def test_a_request_is_sent_a_few_times_and_then_given_up():
    window = RequestWindow()
    waits = [window.open((b"request",), Retransmit(tries=3, base=1.0))]
    while (wait := window.again()) is not None:
        waits.append(wait)
    assert waits == [1.0, 2.0, 4.0]
    assert window.datagrams == (b"request",)


def test_only_the_response_to_what_is_out_is_expected():
    window = RequestWindow()
    assert not window.outstanding
    assert not window.expects(0)
    window.open((b"request",), Retransmit())
    assert window.outstanding
    assert window.expects(0)
    assert not window.expects(1)
    window.close()
    assert not window.expects(0) and not window.expects(1)
    window.open((b"next",), Retransmit())
    assert window.expects(1) and not window.expects(0)


def test_ike_sa_init_anew_keeps_its_message_id():
    window = RequestWindow()
    window.open((b"request",), Retransmit())
    window.close(advance=False)
    window.open((b"with a cookie",), Retransmit())
    assert window.expects(0)


def test_message_ids_run_out():
    window = RequestWindow()
    assert not window.exhausted
    window.next_id = 0xFFFFFFFF - 63
    assert window.exhausted


def test_a_request_is_answered_once():
    window = ResponseWindow()
    assert window.judge(0, b"request") is Verdict.NEW
    window.begin(b"request")
    assert window.judge(0, b"request") is Verdict.WAITING
    window.finish((b"answer",))
    assert window.judge(0, b"request") is Verdict.REPEATED
    assert window.answer == (b"answer",)
    assert window.judge(1, b"next") is Verdict.NEW


@pytest.mark.parametrize("message_id", [2, 3, 1000, 0xFFFFFFFF])
def test_requests_outside_of_the_window(message_id):
    window = ResponseWindow()
    window.begin(b"request")
    window.finish((b"answer",))
    assert window.judge(message_id, b"request") is Verdict.OUTSIDE


def test_the_answer_before_the_last_is_forgotten():
    window = ResponseWindow()
    for request in (b"first", b"second"):
        window.begin(request)
        window.finish((b"answer to " + request,))
    assert window.judge(0, b"first") is Verdict.OUTSIDE
    assert window.judge(1, b"second") is Verdict.REPEATED


def test_another_message_of_the_same_id_is_no_retransmission():
    window = ResponseWindow()
    window.begin(b"request")
    window.finish((b"answer",))
    assert window.judge(0, b"forged ") is Verdict.OUTSIDE
    assert window.repeats(b"request") and not window.repeats(b"forged ")


def test_nothing_repeats_before_there_was_an_answer():
    window = ResponseWindow()
    assert not window.repeats(b"")
    assert window.judge(0xFFFFFFFF, b"") is Verdict.OUTSIDE
