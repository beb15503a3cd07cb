"""The rules: what a paragraph that is not story looks like, each with a name, a document and a strength.

A rule only proposes. Its patterns are tried on one *folded* paragraph (see `paragraphs.fold`: lower case, straight quotes, no
Markdown marks), and each adds evidence in log-odds. `detect.py` alone decides.
"""

import re
from dataclasses import dataclass, field
from re import Pattern

# Evidence in log-odds (natural logarithm of the odds) that a pattern adds to "this paragraph is a note".
CERTAIN, STRONG, LIKELY, HINT = 7.0, 4.5, 2.8, 1.2


@dataclass(frozen=True)
class Rule:
    """One kind of text that is not story.

    Attributes:
        name: what the ledger, `--keep` and the docs call it.
        doc: one sentence for the reader.
        sets: the rule sets that hold it.
        patterns: (log-odds, keys, pattern). A pattern is tried only where one of its `keys` (plain strings) occurs.
        where: "both", "head" or "tail" of a story.
        example: one note that the rule finds, for the docs.
    """

    name: str
    doc: str
    sets: tuple[str, ...]
    patterns: tuple[tuple[float, tuple[str, ...], Pattern[str]], ...] = field(default=(), repr=False)
    where: str = "both"
    example: str = ""


def _p(strength: float, keys: str, *patterns: str) -> tuple[float, tuple[str, ...], Pattern[str]]:
    return strength, tuple(keys.split("|")), re.compile("|".join(patterns))


# What may stand before a label: brackets, bullets, quote marks of Markdown. Bounded, so that no match can run long.
LEAD = r"^[\s(\[{<>#|:;.,+&-]{0,12}"
ORDINAL = r"(?:(?:\d{1,2}(?:st|nd|rd|th)?|first|second|third|fourth|final|last|another|double|triple|quick|ninja|late|obligatory|gold|mobile|small|minor|one more|big|huge|super|format|formatting|grammar|spelling|typo|thanks|thank you)[\s-]{1,2}){0,2}"
NUMBER = r"(?:one|two|three|four|five|six|seven|eight|nine|ten|final|\d{1,3}|[ivx]{1,4})"
SUB = r"(?<![\w./])/?r/[a-z0-9]{2,24}\b"
USER = r"(?<![\w./])/?u/[a-z0-9-]{2,24}\b"
URL = r"https?\s?:\s?/\s?/|\bwww\s?\.\s?[a-z]"

AUTHORED = ("reddit", "web")

RULE_LIST: tuple[Rule, ...] = (
    Rule(
        "edit",
        "A label such as `EDIT:`, `*Edit 2 -*`, `[Edit: grammar]` or `Update:`, and what the author says after it.",
        AUTHORED,
        (
            _p(
                CERTAIN,
                "edit",
                LEAD + ORDINAL + r"edit(?:s|ed)?\b\s?(?:(?:no\.? ?|#)?\d{1,2}|[ivx]{1,4}|one|two|three)?\s?(?:\([^()]{1,40}\)|\d[\d/. -]{3,10}|update)?\s?[\])}]{0,3}\s?(?:[:;=,]|--?(?![a-z])|–|—|\.\.|->|>)",
                LEAD + ORDINAL + r"edit(?:s|ed|ing)? ?(?:\d |#\d )?(?:for|to fix|to add|to say|to clarify|to correct|to include|because|cause|due to|since|thanks|thank|wow|fixed|typo|grammar|spelling|format|removed|added|changed|corrected|made|by request|out|in)\b",
                r"(?:^|[(\[])\s?edits? (?:are|were|have been) (?:made|welcome|appreciated)",
            ),
            _p(STRONG, "edit", LEAD + ORDINAL + r"edit(?:s|ed)?\s?\d{0,2}[\s\])}.!]{0,4}$", r"\bninja edit", r"[(\[] ?edit(?:ed)?\b ?\d?[^a-z]"),
            _p(STRONG, "eta|e:|e2|e1", r"^[(\[]?\s?(?:eta|e ?\d?)\s?(?::|- )\s?(?=.*(?:\b(?:typo|spell|grammar|format|word|thank|gold|fix|wow|holy|part|part|link|sub)|$))"),
            _p(LIKELY, "update", LEAD + r"(?:small |quick |new |final )?update ?\d{0,2}\s?(?::|-|–|—)"),
            _p(STRONG, "typo|grammar|spelling|formatting", LEAD + r"(?:(?:some|a few|fixed|fixing|corrected|minor|small|a) ){0,3}(?:typos?|grammar|spelling|formatting)(?: (?:fix(?:es|ed)?|mistakes?|errors?|corrected|corrections?|edits?|and|&|spelling|grammar|typos?|formatting|were|was|have been)){1,5}\W*$"),
        ),
        example="EDIT: Wow, thank you for the gold, kind stranger!",
    ),
    Rule(
        "promotion",
        "The author's own subreddit, page, book or shop, and the call to subscribe, follow or read more.",
        AUTHORED,
        (
            _p(CERTAIN, "r/", LEAD + SUB + r"[\s/)\]}.!|<>-]{0,8}$", LEAD + SUB + r" ?/?\]? ?\( ?(?:https?|/?r/)[^)]{0,200}\)?[\s.!)\]|<>-]{0,8}$"),
            _p(
                CERTAIN,
                "r/",
                r"(?:subscrib|subbed|check|visit|head (?:over|on)|come (?:on )?(?:over|join|visit|see|hang|check)|stop by|drop by|swing by|join (?:me|us)|follow|feel free|find (?:more|my|me|other|all|part)|more (?:of (?:my|this)|stories|at|on|from|in|like|over|here|stuff|writing)|(?:stories|story|work|writing|stuff|things|tales|parts?|words|fiction|ramblings|rest|prompts?|responses?|chapters?|it|this|them|writ) (?:\w+ ){0,3}(?:at|on|in|over|from|to)|my (?:new |own |personal |little |brand new |shiny |fledgling |humble )*(?:sub|subreddit|page|home|corner|place)|plug|crosspost|cross-post|x-?post|if you (?:like|enjoy|want|love|lik|did|didn)|i (?:write|post|wrote|also|have|made|just|started|created|put)|now (?:has|have)|for more|originally|also (?:at|on|posted)|posted|archive|collect|see )[^\n]{0,160}" + SUB,
                SUB + r"[^\n]{0,60}(?:for (?:more|other|my|the rest|all|additional|tons|lots|part|updates)|if you|is (?:my|where)|to (?:read|see|find|get)|has more|come (?:visit|join)|subscribe|my (?:sub|page)|more (?:stories|stuff|like))",
            ),
            _p(STRONG, "r/", LEAD + r".{0,60}" + SUB + r".{0,20}$"),
            _p(LIKELY, "r/", SUB),
            _p(CERTAIN, "subscrib|subbing", r"(?:subscrib\w*|subbing) (?:to|on|over at|at) (?:my|our) (?:\w+ )?(?:sub|page|channel|blog|newsletter|list|mailing|patreon|site|website)", r"(?:consider|please|feel free to|don't forget to|remember to|be sure to|make sure to|you can|could you) (?:like and |follow and |rate and |share and )?subscrib"),
            _p(LIKELY, "subscrib", LEAD + r"subscribe\b"),
            _p(
                CERTAIN,
                "my ",
                r"(?:check(?:ing)? (?:out|on)|visit|head (?:over )?to|find (?:more )?\w* ?(?:on|at|in|over)|follow (?:me|along)?\w* ?(?:on|at)?|subscrib\w+ to|(?:over|up|more|posted|posting|available|continue\w*|join|read|stories|story|work|writing|stuff|parts?|plug)(?: it| this| them)? (?:on|at|in|to|over at|over on|for)|i (?:have|made|started|created)|here's|here is|come (?:by|see|join|visit)) (?:\w+ )?my (?:(?!own\b)\w+ ){0,3}(?:sub|subreddit|subreddits|blog|website|site|webpage|profile|patreon|ko-?fi|twitter|tumblr|instagram|insta|facebook|wattpad|youtube|channel|newsletter|discord|wordpress|substack|royal ?road|goodreads|amazon page|author page|post history|comment history|bio|stories|writings|other (?:stuff|work|works|stories|writing|responses|prompts|writings))\b",
                r"\bmy (?:(?:new|own|personal|little|brand|shiny|brand-new|writing|story|very|fledgling|author|budding|humble|tiny|dusty) ){0,3}(?:subreddit|patreon|ko-?fi|wattpad|substack|tumblr)\b",
            ),
            _p(STRONG, "patreon|ko-fi|kofi|wattpad|royalroad|royal road|kindle|paypal|substack|gofundme|smashwords", r"\b(?:patreon|ko-?fi|wattpad|royal ?road|kindle (?:store|unlimited|edition)|paypal|substack|gofundme|smashwords)\b"),
            _p(LIKELY, "amazon|tumblr|twitter|wordpress|blogspot|youtube|instagram|discord|facebook|website|newsletter|blog", r"\b(?:my|on|at|via|the|a) (?:\w+ )?(?:amazon|tumblr|twitter|wordpress|blogspot|youtube|instagram|discord|facebook|website|newsletter|blog)\b"),
            _p(STRONG, "plug", r"shameless(?:ly)? (?:self[- ])?(?:plug|promo)", r"self[- ]?plug"),
            _p(STRONG, "promo", r"self[- ]promo", r"shameless promo"),
            _p(STRONG, "stor|writing|work|stuff|responses|prompts", r"(?:more|other) (?:of )?(?:my |such )?(?:\w+ )?(?:stories|writing|writings|work|works|stuff|responses|prompts|tales) (?:like (?:this|these)|by me|(?:over |up )?(?:here|at|on (?:my|this|the sub)|in my))", r"(?:like|enjoy|liked|enjoyed|want|love)\w* (?:this|my|it|what you (?:read|see)|the story|to (?:read|see))[^.!?]{0,40}(?:check out|more of my|my other|follow|subscribe)", r"(?:check out|read|see|find) (?:some of |more of )?(?:my other|more of my)"),
            _p(HINT, "check out|follow me|more stories|more of my|shameless", r"check out|follow me|more stories|more of my|shameless"),
        ),
        example="If you enjoyed this, subscribe to /r/my_stories for more!",
    ),
    Rule(
        "part_link",
        "Where the story goes on: `[Part 2](link)`, `(continued in the comments)`, `Part 3 tomorrow`, `Next chapter`.",
        AUTHORED,
        (
            _p(CERTAIN, "part|chapter|next|prev|first|cont|here|more|rest|index|last", r"\[[^\]]{0,60}\b(?:parts?|chapter|next|previous|prev|first|continu|cont|here|more|rest|index|last)\b[^\]]{0,60}\] ?\( ?(?:https?|/r/|r/|/u/|www|#|link)"),
            _p(
                CERTAIN,
                "cont",
                r"(?:to be )?cont(?:inued|inues|d|'d|inuation|inuing)?\.? ?(?:\w+ )?(?:in (?:the |a |my |another )?(?:\w+ )?(?:comments?|repl(?:y|ies)|post|thread|response|part|child)|below|in reply|as a (?:reply|comment)|here ?[:(\]])",
                LEAD + r"(?:cont(?:inued|inuation|d|'d)?)\s?(?:below|in (?:the )?(?:comments?|repl|next|part)|here|on|at)?[\s.):\]>v!=-]{0,8}$",
            ),
            _p(
                CERTAIN,
                "part|chapter|next|more|rest|ending|conclusion",
                r"\b(?:parts? " + NUMBER + r"(?: ?(?:and|&|,|-|through) ?(?:part )?" + NUMBER + r")*|next (?:part|chapter|bit|installment|section)|the (?:rest|second part|next part|conclusion|ending)|more|chapter " + NUMBER + r")\b(?: of (?:this|it|the story))? ?(?:(?:is|are|can be|will be|has been|now|just|up|posted|available|coming|found|finally|also) ){0,4}(?:posted|available|linked|below|in (?:the )?(?:comments?|repl(?:y|ies)|thread|response)|up (?:now|here|on|at|soon|in)|coming (?:soon|up|later|tomorrow|tonight|shortly|right up|in)|here ?[!:.)\]]|is (?:up|here|out|live)|in (?:a )?reply|as a reply|soon[ .!]|tomorrow|tonight)",
            ),
            _p(STRONG, "part|chapter", LEAD + r"(?:end (?:of )?)?(?:part|chapter|pt\.?) " + NUMBER + r"[\s)\]]{0,3}(?:\?+|(?:below|here|soon|next|maybe|coming|anyone|tomorrow|later|now|up|link|in\b|on\b|at\b|if\b|to (?:come|follow)|of (?:" + NUMBER + r"))\b)", r"(?:do|would|did|does) (?:you|anyone|y'all|people|anybody) (?:guys |all )?(?:want|like|be interested)[^.?!]{0,30}(?:part|more|continu|sequel|see|rest)", r"(?:part|pt\.?) " + NUMBER + r" (?:maybe|anyone|if|when|later)"),
            _p(
                STRONG,
                "continu|more|part|sequel|finish|interest|expand|write|post|rest|second half|add ",
                r"(?:let me know|lmk|tell me|comment|reply|pm me)[^.!?]{0,40}(?:if|whether) (?:you|anyone|anybody|y'all|i should|people|there|ya)[^.!?]{0,50}(?:more|continu|part|sequel|expand|interest|keep|rest|finish|next)",
                r"if (?:you(?:'d| would| guys| all)?|anyone|anybody|people|enough people|y'all|there(?:'s| is)|someone|ya'll)(?: \w+){0,4} (?:like|want|wants|wanted|interest|interested|interesting|demand|enough|enjoy|enjoyed|liked|care)[^.!?]{0,60}(?:continu|more of (?:this|it)|write more|part|sequel|keep going|rest of|finish (?:it|this)|post more|expand|(?:i'll|i will|i'd|i can|i could|i might) (?:\w+ )?(?:write|post|continue|finish|expand|make|add|do|try))",
                r"(?:should|shall) i (?:continue|write (?:more|a|another|part)|keep (?:going|writing)|post (?:more|the|part)|make (?:this|a part|it))",
                r"(?:i'll|i will|i'm going to|i am going to|gonna|i might|i may|i can|i could|i'd|will|might|may|i plan to|i plan on|i hope to|i'm|i am|going to) (?:\w+ ){0,3}?(?:continu\w*|expand\w*|finish\w*|writ\w+|post\w*|add\w*|updat\w*|edit\w*|turn\w*|complete) (?:\w+ ){0,4}?(?:this|part|parts|more|later|tonight|tomorrow|soon|the rest|it|next|when i|after (?:work|class|school|dinner|i)|sequel|story|chapter)(?=[^\n]{0,60}(?:later|tonight|tomorrow|soon|story|part|chapter|when i (?:get|have|can)|if |after (?:work|class|school|i)|weekend|interest|sub|here|prompt|mobile|phone|post|\.\.\.|!|$))",
                LEAD + r"(?:more|part \w+|next part) (?:to (?:come|follow)|coming|later|soon|tomorrow|tonight)(?: \w+){0,5}[\s.!?)\]]{0,5}$",
                r"(?:^|[.!?( ])(?:more|the rest|another part|part two) (?:to come|is coming|to follow)(?: soon| later| tomorrow)?\W*$",
            ),
            _p(LIKELY, "part ", LEAD + r"\[?part " + NUMBER + r"\W*$"),
            _p(STRONG, "previous|prev|next|part|chapter|first|index", LEAD + r"(?:(?:previous|prev|next|first|last|latest|index|table of contents|parts?|chapters?|all|" + NUMBER + r")(?: (?:part|chapter|" + NUMBER + r"))?[\s|<>\[\]/*•·,&-]{1,6}){2,12}$"),
            _p(STRONG, "helpmebutler|subscribeme|updateme|remindme|!subscribe|helpme", r"helpmebutler|subscribeme|updateme|remindme|! ?subscribe"),
        ),
        example="[Part 2](https://www.reddit.com/r/my_stories/comments/abc123/) is up!",
    ),
    Rule(
        "link",
        "A web address or a Markdown link, alone or in a sentence of the author's.",
        AUTHORED,
        (
            _p(STRONG, "](|] (", r"\[[^\]]{0,200}\] ?\( ?(?:https?|/r/|r/|/u/|u/|www|http)"),
            _p(STRONG, "http|www", URL),
            _p(LIKELY, ".com|.net|.org|.co|.blog", r"\b[a-z0-9-]{2,40}\s?\.\s?(?:com|net|org|blog|co|io|tumblr|wordpress)\b(?:/|[\s.)\]]|$)"),
        ),
        example="https://www.example.com/my-blog",
    ),
    Rule(
        "thanks",
        "Thanks to readers, to those who gave gold, for the prompt, for feedback.",
        AUTHORED,
        (
            _p(
                CERTAIN,
                "thank|thx|tysm",
                r"(?:thanks?|thank (?:you|u|ya|y'all)|thx|tysm)\b[^.!?]{0,80}\b(?:gold|golds|silver|platinum|plat|gilding|gilded|upvotes?|upvoting|comments?|commenting|commented|kind (?:words|stranger|strangers|redditor|soul|anonymous)|feedback|criticism|critiques?|prompt|op|reddit|redditors?|posting this|posting the|karma|awards?|subscrib\w*|typos?|proofread\w*|correct(?:ing|ions?)|responses|replies|reply|/?u/\w+|anonymous|internet stranger|catching (?:that|the|my)|pointing (?:that|it|this|out)|the spot|attention)\b",
                r"(?:thanks?|thank (?:you|u|ya))(?: (?:so|very|a lot|again|all|everyone|everybody|guys|you all|much|and|you|for taking the time|to (?:everyone|everybody|all|anyone)(?: who)?|for)){0,6} (?:for )?(?:(?:read|took the time to read|taking the time to read|stopp\w+ by)(?:ing)?)\b(?! (?:me|him|her|them|us|to|from|his|out|the (?:letter|rights|room|news|signs|map))\b)",
            ),
            _p(STRONG, "thank|thx", r"(?:thanks?|thank (?:you|u)|thx)[^.!?]{0,24} (?:everyone|everybody|y'all|guys|you guys|folks|you all|all)\b", r"(?:thanks?|thank (?:you|u)) (?:\w+ ){0,3}for (?:(?:all|the|your|so|such|a|many|this|of|these|lovely|nice|great|fun|wonderful|awesome|cool|amazing) ){0,5}(?:support|love|inspiration|story|compliments?|idea|suggestions?|encouragement|response|read|interest|help with|advice|reception)\b", r"(?:thanks?|credit|props|shout ?-?out|kudos)(?: \w+){0,4} (?:to|goes to) (?:\w+ )?/?u/"),
            _p(HINT, "thank|thx", LEAD + r"(?:(?:and|oh|wow|so|many|but|anyway|anyways|again|also|well|holy \w+|ps|p\.s\.|omg|edit)[,.!:]? ){0,3}(?:thanks|thank you|thank u|thx)\b"),
            _p(LIKELY, "appreciate", r"(?:really|greatly|much|truly|so) appreciate|appreciate (?:it|the|all|any|your|you|everyone)[^.!?]{0,40}(?:comment|feedback|read|word|support|love|guys|all|crit|responses)|(?:i|i'd) (?:really )?appreciate (?:it|any|all|the)"),
        ),
        example="Thanks for reading, everyone!",
    ),
    Rule(
        "feedback",
        "A request for comments or criticism, or the hope that the reader liked it.",
        AUTHORED,
        (
            _p(CERTAIN, "feedback|critici|critique|cc|c&c|concrit|crit", r"(?:feedback|critici[sz]m|critiques?|criticisms|\bcc|c&c|concrit|crits?|criticisim|critisism)\b[^.!?]{0,60}(?:welcome|appreciated|encouraged|please|helpful|accepted|wanted|always|much|requested|would be|is great|are great)", r"(?:constructive|any|some|all|your|open to|love|welcome|appreciate|accept\w*|looking for|leave|give me|for) (?:and all )?(?:\w+ ){0,3}(?:feedback|critici[sz]m|critiques?|criticisms|concrit)\b"),
            _p(STRONG, "feedback|critici|critique|writing advice|writing tips|pointers", r"\b(?:constructive critic\w+|feedback|critique[sd]?)\b", r"(?:advice|tips|pointers|suggestions)[^.!?]{0,40}(?:welcome|appreciated)"),
            _p(STRONG, "know what you|thoughts|think|opinions|comments|suggestions", r"(?:let me know|tell me|lmk|love to (?:know|hear)|curious|interested in) (?:\w+ ){0,4}(?:what|how) (?:you|y'all|everyone|people|ya'll|u)(?: (?:all|guys))? (?:think|thought|felt|feel|liked)", r"(?:comments|suggestions|opinions|thoughts|corrections|questions|complaints)[^.!?]{0,50} (?:welcome|appreciated|encouraged)", r"\b(?:any|your|what are your) thoughts\?", r"what (?:do|did) (?:you|y'all)(?: guys| all)? think\?\W*$"),
            _p(CERTAIN, "hope", r"hope (?:that )?(?:you|y'all|you guys|everyone|anyone|someone|op|ya|u|people|somebody)(?:'ve| have| all| guys)?(?: \w+){0,2}? (?:like|liked|enjoy|enjoyed|enjoying|dig|love|loved|likes|enjoys)(?:ed)? (?:it|this|that|my|the (?:story|read|prompt|response|ending|twist)|reading|the|what)\b", r"hope (?:it|this|that)(?:'s| is| was|s| wasn't| isn't| makes| reads| fits| did| does|'ll)? (?:\w+ ){0,4}?(?:ok|okay|good|enough|sense|close|alright|readable|suitable|bad|terrible|fits?|the prompt|what you|for you|like|worth|justice|work|enjoyable|decent)\b"),
            _p(LIKELY, "enjoy|hope you|hope y", LEAD + r"(?:\w+[,.!]? ){0,4}(?:enjoy|hope (?:you|y'all) (?:\w+ )?(?:like|enjoy)(?:ed|d)?)\W{0,8}(?:(?:it|this|reading|guys|everyone|folks|the story|!|:\)|:d)\W{0,5}){0,3}$"),
            _p(HINT, "be gentle|be kind|go easy|be nice|roast", r"\b(?:be gentle|be kind|go easy|be nice|roast me|tear (?:it|me) apart|don't be (?:too )?harsh)\b"),
        ),
        example="First time posting here, so any feedback is welcome. Hope you liked it!",
    ),
    Rule(
        "author_note",
        "The author about the text: a label (`A/N:`, `Author's note`), how and where it was written, apologies, sources.",
        AUTHORED,
        (
            _p(CERTAIN, "note|a/n|a.n.|n/a|an:|disclaimer|ooc|writer's", LEAD + r"(?:(?:quick |small |brief |final |end |ending |short )?(?:author|writer|op)(?:'?s|s'|)?(?:'s)? ?(?:-? ?(?:end)?notes?|comments?|here|edit)|a ?/ ?n|a\.n\.|(?:foot|end|side) ?notes?|ooc|disclaimer)\s?(?:\d )?(?:\([^()]{0,40}\))?[\])}]{0,2}\s?(?::|-|–|—|\.|,|\]|$|i |this |sorry|so |it |the )", LEAD + r"an ?:"),
            _p(STRONG, "note|ps|p.s|tl;dr|tldr|tl:dr|btw|fyi|disclaimer|warning|inspir|credit|source|backstory|context", LEAD + r"(?:(?:quick |small |brief |final |side ?|just a )?notes? ?(?::|-)|disclaimer|tl ?[;:,]? ?dr\b|btw\b|fyi\b|fun fact ?:|for (?:context|reference)[,:]|(?:obligatory|inspired by|inspiration|credits?|sources?|context|reference|references) ?:|(?:story )?(?:trigger |content )?warning ?:|tw ?:|cw ?:|nsfw\b|just (?:a )?(?:fyi|note))"),
            _p(HINT, "ps|p.s", LEAD + r"p ?\.? ?s ?\.?\s?[:.,;-]"),
            _p(
                CERTAIN,
                "first|writ|wrote|typed|prompt|story|attempt|mobile|phone|post",
                r"(?:my|is my|was my|this is|(?:it's|its|is|been)) (?:very |literally |actually )?(?:first|1st|second|2nd|third)(?: (?:ever|real|actual|serious|proper|big))?[ -](?:time (?:ever )?(?:posting|writing|responding|writer|poster|trying|submitting|doing|commenting|here|on (?:this|here|wp|r/)|replying|contributing|attempting|sharing)|attempt(?:s)? (?:at|in|on) (?:\w+ )?(?:writing|this|a story|prompt|wp|creative|one|short|fiction|anything|these|something)|(?:writing ?)?prompt|wp\b|submission|response|contribution|post (?:here|on|in|to|ever|\W)|post$|shot at|go at|try at|stab at|story (?:here|on|in|ever|post|for|i've|that i)|reply|piece|entry|crack at|published|creative writing|short story)",
                LEAD + r"(?:first|1st)(?: ever)?[ -](?:time (?:ever )?(?:posting|writing|writer|poster|posted|responding|contributor|submitting|here|on (?:this|here|wp)|trying|doing|commenting|prompt)|timer|prompt|attempt|wp\b|submission|response|post\b|story\b|try\b|go at|shot at)",
                r"(?:wrote|written|typed|writing|typing|write|type|posted|posting|did|finished|done|composed|made) (?:\w+ ){0,5}?(?:on|from|with|using|in|via) (?:\w+ ){0,2}(?:mobile|my phone|phone|my iphone|an ipad|my ipad|my tablet|phone keyboard|one sitting|notepad|(?:about |like |under |around |less than |just )?(?:\d+|a few|five|ten|fifteen|twenty|thirty|half an|an) (?:minutes|mins|min|hours?)|a hurry|class|bed on|the (?:toilet|bus|train|john|loo))\b",
                r"(?:haven't|have not|havent|never|long time since i|been (?:\w+ ){1,4}(?:since|that) i(?:'ve| have)?|rarely|don't (?:usually|normally|often|really)|not (?:used to|much of)|new (?:to|at)|out of practice|rusty) (?:\w+ ){0,4}?(?:writ(?:e|ten|ing|er)|wrote|posted|post (?:here|on|in)|prompts?|story like|fiction|creative)\b",
                r"(?:english|this) (?:is not|isn't|isnt|ain't|not) my (?:first|native|mother|main|primary|strong)|(?:not|isn't) (?:a |my )?(?:native|first) (?:english )?(?:speaker|language)|not good at english|non-?native",
                r"\b(?:on|from|via) mobile\b|(?:mobile|phone|app) (?:formatting|format|typing|user|so|sucks|keyboard)|(?:blame|autocorrect)[^.!?]{0,20}(?:autocorrect|phone|mobile)|formatting (?:is|may|might|on mobile|issues?|sucks|errors?)",
            ),
            _p(
                STRONG,
                "prompt|this sub|subreddit|thread|wp",
                r"\b(?:this|the|your|great|good|fun|awesome|cool|interesting|nice|amazing|fantastic|neat|other|of|op's|original|lovely|excellent|brilliant|old|another|writing|different|these|my|to|a|love|loved|off|follow\w*|fit|image) (?:\w+ )?(?:prompts?|wp)\b",
                r"\b(?:this|the|here on this|from this) (?:sub|subreddit|thread)\b|\bwritingprompts?\b|writing prompts?\b|\bprompt (?:made|is|was|has|immediately|gave|reminded|really|just|said|inspired|idea)",
            ),
            _p(
                STRONG,
                "sorry|apolog|forgive|excuse|pardon|mistake|error|typo",
                r"(?:sorry|apolog\w+|forgive|excuse|pardon|ignore|bear with)\b[^.!?]{0,60}\b(?:format\w*|mobile|typos?|spelling|grammar|grammatical|(?:any|the|my|for) (?:\w+ )?(?:mistakes?|errors?)|the (?:length|delay|late|short|long|wait|rush|quality|ending|abrupt|wall)|length|wall of text|if (?:this|it|the)|it(?:'s| is| was| got)? (?:so |a bit |a little |kind of |kinda |too )?(?:long|short|late|bad|crap|rushed|not)|being (?:late|short|long|so)|bad (?:english|writing|grammar)|my (?:english|writing)|rushed|rambling|late (?:to|post|response|reply)|terrible|poor|lack of|crappy|shitty)",
                r"(?:any|are|my|some|all|for|probably|lots of|tons of|many) (?:\w+ )?(?:typos|grammatical errors|grammar (?:mistakes|errors)|spelling (?:mistakes|errors)|errors in)",
            ),
            _p(
                STRONG,
                "inspir|based|wrote|written|writing|this story|this was|this is|write",
                r"(?:inspired|influenced) by (?:\w+ ){0,6}?(?:song|movie|film|book|story|show|game|prompt|real|true|episode|series|comic|poem|work|short|author|anime|novel|character|picture|image|post|/?u/|/?r/)|(?:this|it|story|loosely|heavily|was|is)(?: \w+){0,2} (?:based|inspired) (?:on|by|off)\b",
                r"(?:this|that|it) (?:was|is|has been|were) (?:\w+ ){0,4}?(?:fun|hard|hell|a blast|a joy|difficult|tough|great|harder|challenging|interesting|weird|a pleasure|enjoyable|painful|cathartic) to (?:write|do this prompt|respond)",
                r"(?:had|have) (?:\w+ ){0,4}(?:fun|blast|trouble|time) (?:writing|with (?:this|the) (?:prompt|one)|coming up)",
                r"i (?:just |also |only |originally |actually |quickly |really |kinda |sort of |basically |finally |initially |never |literally )?(?:wrote|typed|made up|whipped up|threw together|threw this|banged|cranked|knocked) (?:\w+ ){0,2}?(?:this|that (?:story|one|up)|it|something|up|out)\b[^\n]{0,60}(?:minutes|quick|phone|late|night|story|ago|school|class|work|song|prompt|drunk|tired|hour|high|asleep|sitting|post|rush|fast|sub|hope|!|$)",
                r"(?:this|the|my) (?:story|piece|response|one|submission|little story|short story|tale|post|was|is) (?:is|was|may|might|got|ended|turned|has|went|isn't|came|takes|actually|kinda|kind|a bit|sort|brought|probably)\b[^\n]{0,80}(?:prompt|writ(?:e|ing|ten|er)|based|wrote|read|long|dark|cliche|short|sequel|universe|series|post|reply|edit|draft|expected|planned|intended|inspired|to you by|first)",
                r"(?:i'm|i am|im) (?:not )?(?:really |exactly |usually |normally |still |by no means |no |also )?(?:a |an |much of a |too |very )?(?:good |great |new |novice |aspiring |amateur |beginner |beginning |talented |professional |published |pretty new |super new |native )*(?:writer|at writing|at this sub|with writing|speaker|at english|to (?:writing|this sub|reddit))",
                r"(?:consider|call) myself (?:\w+ ){0,4}writer",
                r"(?:i )?(?:kind of|kinda|totally|sort of|may have|might have|sorta|definitely|really|clearly|probably|just|got) (?:\w+ )?(?:got carried away|went (?:off|overboard|a (?:bit|little) (?:over|off))|butchered|rushed (?:the|it|this|that))|got (?:a (?:bit|little) |too |so |really )?carried away",
            ),
            _p(LIKELY, "half asleep|sleep|finish|work|tired|drunk", r"i'm (?:half asleep|really tired|so tired|super tired|tired|drunk|at work|off to bed|going to (?:bed|sleep)|on (?:break|lunch|my (?:break|lunch)))|(?:will|i'll) finish|got to go to (?:bed|work|sleep)|gotta (?:go|sleep|run)"),
            _p(LIKELY, "brought to you", r"brought to you (?:by|from)"),
            _p(LIKELY, "credit|stole|reference|shout", r"(?:just to )?give credit|credits? (?:to|goes|where)|all credit|(?:i )?(?:blatantly|shamelessly|totally) (?:stole|ripped)|shout ?-?out to|bonus points|props (?:to|if)"),
        ),
        example="Author's note: my first time posting here, written on my phone, so forgive any typos.",
    ),
    Rule(
        "reddit_talk",
        "Words that belong to the site: upvotes, gold, OP, karma, the front page, the inbox.",
        ("reddit",),
        (
            _p(STRONG, "gilded|gold|upvote|blew up|front page|inbox|karma|kind stranger|top comment|downvote", r"(?:first|reddit|for (?:the )?|the|given me|my|someone gave me|got|getting|gave me|gave this|receiv\w+) gold\b(?! (?:coin|ring|watch|medal|chain|bar|piece|tooth|necklace|rush|mine|crown|in|of|from|and|is|was|had|that|he|she|they))|\bgild(?:ed|ing)\b[^.!?]{0,30}(?:me|this|comment|story|post|stranger|!)|\b(?:up|down)vot\w+|(?:this|that|it)(?: \w+)? (?:blew up|exploded|took off)|front ?page|my inbox|rip (?:my )?inbox|kind stranger|(?:my )?(?:top|highest|most) (?:\w+ ){0,2}(?:comment|post)\b|\bkarma\b(?=[^.!?]{0,30}(?:whore|reddit|comment|post|!))"),
            _p(STRONG, "reddit|subreddit", r"\b(?:reddit|subreddit|redditors?)\b"),
            _p(LIKELY, "u/", USER),
            _p(LIKELY, "op", r"(?:^|[\s,(])op(?:[\s,.!?)]|'s|$)"),
            _p(LIKELY, "comment|this sub|the sub", r"(?:comments?|comment) (?:below|section|thread|and|if|with|or)|(?:in|to) the comments|\b(?:this|my|the) sub\b"),
            _p(CERTAIN, "[deleted]|[removed]", r"^\s?\[(?:deleted|removed)\]\s?$"),
        ),
        example="Woah, this blew up overnight! My top comment is about a talking duck.",
    ),
    Rule(
        "word_count",
        "The number of words, alone in its paragraph.",
        AUTHORED,
        (
            _p(CERTAIN, "word|wc|w/c", LEAD + r"(?:(?:total |final )?(?:word ?-?count|words?|wc|w/c)\s?(?::|-|=|is|of|~)+\s?~?(?:about |around |approx\w*\.? )?[\d,.]{1,7}(?: ?/ ?\d+)?(?: words?)?|~?(?:exactly |about |around |approx\w*\.? |total )?[\d,]{2,7} ?(?:words?|wc)(?: (?:exactly|total|long|so far|on the dot|according to \w+))?)[\s)\]}.!*]{0,6}$", r"[(\[]\s?(?:word ?count|wc|words)\s?[:=-]?\s?[\d,]{2,7}(?: words)?\s?[)\]]", r"[(\[]\s?~?(?:exactly )?[\d,]{2,6} words\s?[)\]]"),
        ),
        example="[WC: 784]",
    ),
    Rule(
        "prompt",
        "The writing prompt itself, repeated before the story: `[WP] ...`, `Prompt: ...`.",
        ("reddit",),
        (
            _p(CERTAIN, "[", LEAD + r"?\[(?:wp|eu|tt|cw|rf|sp|pm|pi|ip|mp|ot|cc)\]"),
            _p(STRONG, "prompt", LEAD + r"(?:original |the |writing )?prompt ?:"),
        ),
        where="head",
        example="[WP] You wake up as a talking duck.",
    ),
    Rule(
        "superscript",
        "Reddit's small print: a paragraph that is all superscript, `^(More at my page)`.",
        ("reddit",),
        (_p(STRONG, "\x01", r"^\x01"),),
        example="^(I write more of these at my own place.)",
    ),
)
