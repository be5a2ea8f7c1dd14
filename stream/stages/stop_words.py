"""The most frequent words of languages that the stream has rules for.

Called by the language stage, which counts them, and by the quality stage (Gopher's stop-word rule
for more than English). Short words that two languages share do not hurt: a lead is asked for.
"""

STOP_WORDS = {
    language: frozenset(words.split())
    for language, words in {
        "en": "the be to of and that have with is are was for this it not you on as at by from or "
        "an they which we can has will their if but when there his her who what would been more "
        "our after before because without its so do does than then out up my me him she he had "
        "were could about",
        "de": "der die das und ist nicht mit ein eine den dem des zu von auf für sich auch es im "
        "werden wird sind oder wie dass aus bei nach wenn nur noch über durch kann einer als",
        "fr": "le la les des et est une dans que qui pour pas sur avec ce cette sont au aux par "
        "plus ne il elle nous vous ou mais être sans leur ces du comme tout fait peut",
        "es": "el la los las de y que en un una es no por con para se del al lo como más pero sus "
        "este esta está son fue muy cuando hay también sin sobre entre desde todo ya",
        "it": "il lo gli della di che è e non per un una sono con nel alla del dei più anche come "
        "questo questa ma si le delle essere ha dal nella suo loro quando perché ogni",
        "pt": "o os de que e do da em um uma para com não por mais as dos como mas foi ao ele das "
        "tem seu sua ou ser quando muito há nos já está também só pelo pela até isso",
        "nl": "de het een en van is dat niet op te met voor zijn er aan ook als bij door maar om "
        "uit nog naar dan wordt worden deze dit heeft hebben kan zij wij hun geen over",
        "ru": "и в не на что с по это как из у за от так же но для или к о бы был была было были "
        "его её их мы вы они он она когда если только уже все ещё до при где чтобы",
    }.items()
}
