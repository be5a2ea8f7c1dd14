"""What the engine says of an answer or a text, as protos.

Called by `serving/services/generation.py`.
"""

import math
from collections.abc import Iterable, Sequence

from riverrun.tokenizer import Tokenizer
from riverrun.v1 import generation_pb2 as pb
from serving.call import current_call
from serving.sequence import End, FinishReason, Switch, TokenLogprob, TokenScore
from serving.services.version_proto import version_proto

REASONS = {
    FinishReason.END: pb.FINISH_REASON_END,
    FinishReason.LENGTH: pb.FINISH_REASON_LENGTH,
    FinishReason.STOP: pb.FINISH_REASON_STOP,
}


def final_proto(end: End) -> pb.Final:
    return pb.Final(
        finish_reason=REASONS[end.reason],
        prompt_tokens=end.num_prompt_tokens,
        completion_tokens=end.num_tokens,
        version=version_proto(end.manifest),
        request_id=current_call().request_id,
        versions=[switched_proto(switch) for switch in end.switches],
        deferred=end.is_deferred,
    )


def switched_proto(switch: Switch) -> pb.Switched:
    return pb.Switched(version=version_proto(switch.manifest), completion_tokens=switch.num_tokens)


def logprob_protos(logprobs: Iterable[TokenLogprob], tokenizer: Tokenizer) -> list[pb.TokenLogprob]:
    return [
        pb.TokenLogprob(
            id=one.token,
            text=_shown(one.token, tokenizer),
            logprob=one.logprob,
            top=[
                pb.Alternative(id=token, text=_shown(token, tokenizer), logprob=logprob)
                for token, logprob in one.top
            ],
        )
        for one in logprobs
    ]


def score_proto(
    scores: Sequence[TokenScore],
    num_bytes: int,
    tokenizer: Tokenizer,
    *,
    per_token: bool,
    is_deferred: bool,
) -> pb.Score:
    log_likelihood = math.fsum(score.logprob for score in scores)
    return pb.Score(
        log_likelihood=log_likelihood,
        bits_per_byte=-log_likelihood / math.log(2) / num_bytes if num_bytes else 0.0,
        tokens=len(scores),
        bytes=num_bytes,
        deferred=is_deferred,
        per_token=[
            pb.TokenScore(
                id=score.token,
                text=_shown(score.token, tokenizer),
                logprob=score.logprob,
                likeliest=score.is_likeliest,
            )
            for score in (scores if per_token else ())
        ],
    )


def _shown(token: int, tokenizer: Tokenizer) -> str:
    return tokenizer.decode([token], keep_special=True)
