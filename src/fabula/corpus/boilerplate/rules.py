"""The rules for what authors write about their stories, and the list of all rules."""

from fabula.corpus.boilerplate.rule import CERTAIN, HINT, LEAD, LIKELY, STRONG, Rule, sign
from fabula.corpus.boilerplate.site_rules import SITE_RULES, SITES

NUMBER = r"(?:one|two|three|four|five|six|seven|eight|nine|ten|final|\d{1,3}|[ivx]{1,4})"
EDIT_KIND = (
    r"(?:(?:(?:\d{1,2}(?:st|nd|rd|th)?|first|second|third|fourth|final|last|another|double|triple|quadruple|quick|ninja|"
    r"late|obligatory|mandatory|gold|gilded|silver|mobile|small|minor|tiny|one more|big|huge|super|format|formatting|"
    r"grammar|spelling|typo|thanks|thank you|morning|post|wow|also|and|an|yet another|woah|whoa|oh|important|slight|"
    r"major|extra|bonus|new|a)[,!]?[\s-]{1,2}){0,3})"
)
SUB = r"(?<![\w./])/?r/[a-z0-9]{2,24}\b"
USER = r"(?<![\w./])/?u/[a-z0-9-]{2,24}\b"
URL = r"https?\s?:\s?/\s?/|\bwww\s?\.\s?[a-z]"
READERS = (
    r"(?:you|y'all|ya'll|ya|u|you guys|you all|everyone|everybody|anyone|anybody|someone|people|folks|op)"
)
# Things that only exist where people post what they write.
SITE = (
    r"(?:gold|silver|platinum|plat|gilding|gild|gilded|upvotes?|upvoting|comments?|commenting|commented|kind words|kind stranger|"
    r"kind strangers|stranger|strangers|kind redditor|kind soul|feedback|criticisms?|critiques?|prompt|prompts|op|reddit|redditors?|posting this|karma|awards?|"
    r"subscrib\w{0,4}|typos?|proofread\w{0,4}|corrections?|correcting|responses|replies|catching (?:that|the|my)|spotting|"
    r"pointing (?:that|it|this|out)|attention|upboats|love and support|positive \w{1,12}|compliments|messages|read this far|following along)"
)
MY_PAGE = (
    r"(?:sub|subreddit|subreddits|blog|website|web ?site|site|webpage|profile|patreon|ko-?fi|twitter|tumblr|instagram|insta|"
    r"facebook|wattpad|youtube|channel|newsletter|discord|wordpress|substack|royal ?road|goodreads|amazon page|author page|"
    r"post history|comment history|writings|other (?:stuff|work|works|stories|story|writing|writings|responses|prompts|posts|pieces))"
)
OWN = r"(?:(?:new|own|personal|little|brand|shiny|brand-new|writing|story|fiction|very|fledgling|author|budding|humble|tiny|dusty|small|recently|created|growing) ){0,3}"
COME = (
    r"(?:subscrib|subbed|check|visit|head (?:over|on)|come (?:on )?(?:over|join|visit|see|hang|check|say|by|find|read)|stop (?:by|over)|drop (?:by|in)|"
    r"swing by|join (?:me|us)|follow|feel free|find (?:more|my|me|other|all|part|some|the rest|it|this)|"
    r"more (?:of (?:my|this|these|it)|stories|at|on|from|in|like|over|here|stuff|writing|work|by me|dumb|weird|random|short)|"
    r"(?:stories|story|work|writings?|stuff|things|tales|parts?|words|fiction|ramblings|prompts?|responses?|chapters?|it|this|these|them) (?:\w{1,12} ){0,3}(?:at|on|in|over|from|to)|"
    r"my (?:\w{1,12} ){0,2}(?:sub|subreddit|page|home|corner|place)|plug|cross-?post|x-?post|if "
    + READERS
    + r" (?:all )?(?:like|enjoy|want|love|lik|did|didn|are interested)|"
    r"i (?:write|post|wrote|also|have|made|just|started|created|put|run|keep)|i've (?:got|made|started|created|put|been)|for (?:more|other)|originally|also (?:at|on|posted)|"
    r"posted|archived?|collect|see you)"
)

AUTHORED = ("reddit", *SITES)

RULE_LIST: tuple[Rule, ...] = (
    *SITE_RULES,
    Rule(
        "edit",
        "A label such as `EDIT:`, `*Edit 2 -*`, `[Edit: grammar]` or `Update:`, and what the author says after it.",
        AUTHORED,
        (
            sign(
                CERTAIN,
                "edit",
                LEAD
                + EDIT_KIND
                + r"(?:re-?)?edit(?:s|ed)?(?:[\s#-]{0,2}(?:\d{1,2}|[ivx]{1,3}|one|two|three|four|x\d|update|the \w{1,8}|again|from op|note|\(?[\d/.: -]{3,12}(?:am|pm|est|pst|gmt)?\)?|\([^()]{1,40}\))){0,2}\s?[\])}!-]{0,3}\s?(?::|;|=|--?(?![a-z])|–|—|\.\.|->|>|\x02)",
                LEAD
                + EDIT_KIND
                + r"edit(?:s|ed|ing)?[.,!]? ?(?:\d[.,]? |#\d )?(?:for (?!the (?:last|first|next))|to (?:fix|add|say|clarify|correct|include|mention|remove|change|improve|make)|because|cause|due to|since|thanks|thank|wow|fixed|fixing|typos?|grammar|grammatical|spelling|format|formatting|removed|added|changed|corrected|corrections?|made|by request|formated|forgot|words?$|holy|obligatory|tweaked)\b",
                r"\bedits? (?:are|were|have been) (?:made|welcome|appreciated)",
            ),
            sign(
                STRONG,
                "edit",
                LEAD + EDIT_KIND + r"edit(?:s|ed)?\s?\d{0,2}[\s\])}.!]{0,4}$",
                r"\bninja edit",
                r"[(\[] ?edit(?:ed)? ?\d?[:)\]-]",
            ),
            sign(LIKELY, "edit", LEAD + EDIT_KIND + r"edit(?:s|ed)?\s?\d{0,2}[,.] "),
            sign(
                STRONG,
                "eta|e:|e2|e1",
                r"^[(\[]?\s?(?:eta|e ?\d?)\s?(?::|- )\s?(?:\w{1,15}\s){0,3}(?:typos?|spell\w*|grammar|format\w*|words?|thanks?|gold|fix\w*|wow|holy|parts?|links?|sub|added|changed)\b",
            ),
            sign(LIKELY, "update", LEAD + r"(?:small |quick |new |final )?update ?\d{0,2}\s?(?::|-|–|—)"),
            sign(
                STRONG,
                "typo|grammar|spelling|formatting",
                LEAD
                + r"(?:(?:some|a few|fixed|fixing|corrected|minor|small|a) ){0,3}(?:typos?|grammar|spelling|formatting)(?: (?:fix(?:es|ed)?|mistakes?|errors?|corrected|corrections?|edits?|and|&|spelling|grammar|typos?|formatting|were|was|have been)){1,5}\W*$",
            ),
        ),
        examples=(
            "EDIT: Wow, thank you for the gold, kind stranger!",
            "*Edit 2 - fixed a typo*",
            "[Edit: formatting]",
        ),
    ),
    Rule(
        "promotion",
        "The author's own subreddit, page, book or shop, or a call to subscribe, follow or read more.",
        AUTHORED,
        (
            sign(
                CERTAIN,
                "r/",
                LEAD + SUB + r"[\s/)\]}.!|<>-]{0,8}$",
                LEAD + SUB + r" ?/?\]? ?\( ?(?:https?|/?r/)[^)]{0,200}\)?[\s.!)\]|<>-]{0,8}$",
                COME + r"[^\n]{0,160}" + SUB,
                SUB
                + r"[^\n]{0,60}(?:for (?:more|other|my|the rest|all|additional|tons|lots|part|updates)|if you|is (?:my|where)|to (?:read|see|find|get)|has more|come (?:visit|join)|subscribe|my (?:sub|page)|more (?:stories|stuff|like))",
            ),
            sign(STRONG, "r/", LEAD + r".{0,40}" + SUB + r".{0,15}$"),
            sign(LIKELY, "r/", SUB),
            sign(
                CERTAIN,
                "subscrib|subbing",
                r"(?:subscrib\w{0,4}|subbing) (?:to|on|over at|at) (?:my|our) (?:\w{1,12} )?(?:sub|page|channel|blog|newsletter|list|mailing|patreon|site|website)",
            ),
            sign(
                STRONG,
                "subscrib|subbing",
                r"(?:consider|feel free to|you can|could you|you should|if you want to) (?:like and |follow and |rate and |share and )?subscrib\w{0,4}",
                LEAD + r"(?:please |so )?subscribe (?:for|to|if|here)\b",
            ),
            sign(LIKELY, "subscrib", LEAD + r"(?:please |so )?subscrib", r"(?:please|to) subscribe\b"),
            sign(
                CERTAIN,
                "my ",
                r"(?:check(?:ing)? (?:out|on)|visit|head (?:over )?to|find (?:\w{1,12} ){0,3}(?:on|at|in|over)|follow (?:me |along )?(?:\w{1,12} )?(?:on|at)|subscrib\w{1,4} to|"
                r"(?:over|up|more|posted|posting|post|available|continue\w{0,2}|join|read|stories|story|work|writing|stuff|parts?|plug)(?: it| this| them)? (?:on|at|in|to|over at|over on|for)|"
                r"i (?:have|made|started|created)|here's|here is|come (?:by|see|join|visit)|see) (?:\w{1,12} )?my "
                + OWN
                + MY_PAGE
                + r"\b",
                r"\bmy " + OWN + r"(?:subreddit|patreon|ko-?fi|wattpad|substack|tumblr)\b",
            ),
            sign(
                STRONG,
                "patreon|ko-fi|kofi|wattpad|royalroad|royal road|kindle|paypal|substack|gofundme|smashwords",
                r"\b(?:patreon|ko-?fi|wattpad|royal ?road|kindle (?:store|unlimited|edition)|on kindle|paypal|substack|gofundme|smashwords)\b",
            ),
            sign(
                STRONG,
                "follow me|amazon",
                r"follow me (?:on|at|for) (?:\w{1,12} )?(?:twitter|insta|instagram|facebook|tumblr|medium|here|reddit|@|more)",
                r"(?:novel|book|ebook|e-book|anthology|collection|stories)[^.!?]{0,40}(?:on|from|via|through) amazon",
            ),
            sign(
                LIKELY,
                "amazon|tumblr|twitter|wordpress|blogspot|youtube|instagram|discord|facebook|website|newsletter|blog",
                r"\b(?:my|on|at|via|the|a) (?:\w{1,12} )?(?:amazon|tumblr|twitter|wordpress|blogspot|youtube|instagram|discord|facebook|website|newsletter|blog)\b",
                LEAD + r"(?:twitter|website|blog|instagram|facebook|tumblr|discord) ?:",
            ),
            sign(
                STRONG,
                "plug|promo",
                r"shameless(?:ly)? (?:self[- ])?(?:plug|promo)",
                r"self[- ]?(?:plug|promo)",
            ),
            sign(
                STRONG,
                "more stor|other stor|more of my|more work|more stuff|like this|these stories|by me|check out|other work|other writing|my other|liked|enjoyed|enjoy |if you like|loved|more writing|more responses|more prompts|more tales|other stuff|other responses",
                r"(?:more|other) (?:of )?(?:my |such )?(?:\w{1,12} )?(?:stories|writing|writings|work|works|stuff|responses|prompts|tales) (?:like (?:this|these)|by me|(?:over |up )?(?:here|at|on (?:my|this|the sub)|in my))",
                r"(?:like|enjoy|liked|enjoyed|want|love)\w{0,4} (?:this|my|it|what you (?:read|see)|the story|to (?:read|see))[^.!?]{0,40}(?:check out|more of my|my other|follow|subscribe)",
                r"(?:check out|read|see|find) (?:some of |more of )?(?:my other|more of my)",
                r"if "
                + READERS
                + r" (?:all |guys )?(?:like|liked|enjoy|enjoyed|love|loved) (?:this|that|it|the|my|what)(?: \w{1,12}){0,3},? (?:story|style|writing|kind|check|please|i(?:'ve| have)|you (?:can|might|may|should)|feel free|there's|come|head|consider|let me)\b",
            ),
            sign(
                HINT,
                "check out|follow me|more stories|more of my|shameless",
                r"check out|follow me|more stories|more of my|shameless",
            ),
            sign(
                STRONG,
                "sub|amazon|order|mailing list|in my profile|in my bio|find me on",
                r"(?:mak\w{1,3}|creat\w{1,3}|start\w{0,3}) (?:a|my own|a new) (?:\w{1,12} )?sub(?:reddit)?\b",
                r"\b(?:it|them|available|buy|get|out|order)\b[^.!?]{0,20} (?:on|from|via|at) amazon|pre-?order|\bmailing list\b",
                r"\bin my (?:profile|bio)\b|\bfind me on\b",
            ),
            sign(
                LIKELY,
                "my ",
                r"\b(?:on|at|in|to|over at|over on) my " + OWN + MY_PAGE + r"\b",
                r"^\W{0,6}my other (?:stories|parts|prompts|work|responses)\b",
            ),
            sign(HINT, "message me|send me a message|dm me", r"\b(?:dm|message) me\b|send me a message"),
        ),
        examples=("If you enjoyed this, subscribe to /r/my_stories for more!", "*r/my_stories*"),
    ),
    Rule(
        "part_link",
        "A pointer to the next part: `[Part 2](link)`, `(continued in the comments)`, `Part 3 tomorrow`, or the question whether to write one.",
        AUTHORED,
        (
            sign(
                HINT,
                "come back to|return to|revisit",
                r"\bi (?:might|may|will|could|hope to) (?:come back to|return to|revisit) (?:this|it)\b",
            ),
            sign(
                CERTAIN,
                "](|] (",
                r"\[[^\]]{0,60}\b(?:parts?|pt\.?|chapter|next|previous|prev|first|continu\w{0,6}|cont|cont'd|here|more|rest|index|last|sequel|prequel|epilogue)\b[^\]]{0,60}\] ?\( ?(?:https?|/r/|r/|/u/|www|#|link)",
            ),
            sign(
                CERTAIN,
                "cont",
                r"\b(?:to be )?cont(?:inued|inues|d|'d|inuation|inuing)?\.? ?(?:\w{1,12} )?(?:in (?:the |a |my |another )?(?:\w{1,12} )?(?:comments?|repl(?:y|ies)|post|thread|response|child)|below|in reply|as a (?:reply|comment)|here ?[:(\]])",
                LEAD
                + r"(?:cont(?:inuation|d|'d)?)\s?(?:below|in (?:the )?(?:comments?|repl|next|part)|here|on|at)?[\s.):\]>v!=-]{0,8}$",
                LEAD
                + r"continued\s?(?:below|in (?:the )?(?:comments?|repl|next|part)|here|on|at)?[\s.):\]>v!=-]{0,8}$",
            ),
            sign(
                CERTAIN,
                "part |parts |part.|pt|chapter|rest |rest:|the ending|conclusion|half|bit|installment|section|comment|limit|too long|too big|continued|more in",
                r"\b(?:(?:parts?|pt\.?|chapter) "
                + NUMBER
                + r"(?: ?(?:and|&|,|-|through) ?(?:part )?"
                + NUMBER
                + r"){0,3}|(?:next|second|2nd|third|last|final) (?:part|chapter|bit|installment|section|half)|the (?:rest|conclusion|ending))"
                r"(?: of (?:this|it|the story))?,? (?:(?:is|are|can be|will be|has been|should be|now|just|up|posted|available|coming|found|finally|also|live|out) ){0,4}(?:posted|available|linked|below|in (?:the |my )?(?:comments?|repl(?:y|ies)|thread|response)|up (?:now|here|on|at|soon|in)|coming (?:soon|up|later|tomorrow|tonight|shortly|right up|in)|here ?[!:.)\]]|is (?:now )?(?:up|here|out|live)|in (?:a )?reply|as a reply|soon[ .!]|up[ .!]?$|here$)",
                r"\b(?:more|continued|rest|part two|part 2|part ii)\b[^.!?]{0,24}\b(?:in (?:the |my |a )?(?:comments?|repl(?:y|ies))|in reply|as a reply|(?:comment|reply) below)\b",
                r"\b(?:character|word|comment|length) (?:limit|count limit)\b|too (?:long|big) (?:for|to fit in) (?:one|a|a single) (?:comment|post)",
            ),
            sign(
                STRONG,
                "part |pt.|pt |chapter ",
                LEAD
                + r"(?:end (?:of )?)?(?:part|chapter|pt\.?) "
                + NUMBER
                + r"[\s)\]]{0,3}(?:\?+|(?:below|here|soon|next|maybe|coming|anyone|tomorrow|later|tonight|now|up|link|if\b|to (?:come|follow)|of (?:"
                + NUMBER
                + r"))\b)",
                r"(?:part|pt\.?) " + NUMBER + r" (?:maybe|anyone|if (?:you|people|there|any)|when i|later)\b",
                r"\b(?:that|this|aand that|and that) (?:was|is|concludes|ends|'s) (?:the end of )?part "
                + NUMBER
                + r"\b(?! of)",
            ),
            sign(
                STRONG,
                "part |part?|continu|sequel|rest |rest?|more of|more?|see more|read more|want more",
                r"\b(?:do|would|did|does|want|wanna|wan na) (?:you|anyone|y'all|people|anybody|to)?(?: guys| all)? ?(?:want|like|be interested|see|read|hear)[^.?!]{0,30}\b(?:part|more of|more|continu\w*|sequel|rest)(?: \w{1,12}){0,4}\?",
            ),
            sign(
                STRONG,
                "continu|want more|like more|more if|let me know|lmk|part |parts|sequel|finish|interest|expand|write |post |the rest of|a part|keep going|keep writing|see more|read more|more to come|more coming|more of this|more of it|more from|write more|post more",
                r"(?:let me know|lmk|tell me|comment|reply|pm me)[^.!?]{0,40}(?:if|whether) (?:you|anyone|anybody|y'all|i should|people|there|ya)[^.!?]{0,50}(?:more\W|continu|part|sequel|expand|interest|keep (?:going|writing)|rest|finish|next)",
                r"if (?:you(?:'d| would| guys| all)?|anyone|anybody|people|enough people|y'all|there(?:'s| is)|someone|ya'll)(?: \w{1,12}){0,4} (?:like|want|wants|wanted|interest|interested|interesting|demand|enough|enjoy|enjoyed|liked|care)\b[^.!?]{0,60}(?:continu|more of (?:this|it)|write more|part \w|a part|sequel|keep (?:going|writing)|rest of|finish (?:it|this)|post more|expand|(?:i'll|i will|i'd|i can|i could|i might) (?:\w{1,12} )?(?:write|post|continue|finish|expand|make|add))",
                r"(?:should|shall) i (?:continue\b|write (?:more|a|another|part)|keep (?:going|writing)|post (?:more|the|part)|make (?:this|a part))",
                r"(?:more|next part|part \w{1,5}) (?:to come|coming|is coming) (?:if|when|once|after|soon|later|tomorrow|tonight)",
                r"\b(?:if|in case) (?:there(?:'s| is) )?(?:any(?:one)?|enough|some)(?:one is|one's)? interest(?:ed)?\b",
            ),
            sign(
                STRONG,
                "continu|expand|finish|writ|post|add |adding|updat|edit|turn |turning|complet",
                r"(?:i'll|i will|i'm going to|i am going to|gonna|i might|i may|i can|i could|i'd|will|might|may|i plan to|i plan on|i hope to|i'm|i am) (?:\w{1,12} ){0,3}?(?:continu\w{0,3}|expand\w{0,3}|finish\w{0,3}|write|writing (?!this)|post\w{0,3}|add\w{0,3}|updat\w{0,3}|edit\w{0,3}|turn\w{0,3}|complete) (?:(?:on|up|out|a|an|the|some|my|another|into|it|of|to|with|more|and) ){0,3}(?:this(?: \w{1,12})?|it|story|parts?(?: \w{1,5})?|more|the rest|sequel|chapters?|later|responses|prompts?)\b[^\n]{0,60}(?:later|tonight|tomorrow|soon|story|part|chapter|when i (?:get|have|can)|if (?:you|there|people|any|i)|after (?:work|class|school|i)|weekend|interest|\bsub\b|prompt|mobile|phone|longer|novel|series)",
                r"(?:will|i'll) (?:finish|continue|write more|post more|add more)(?: this| it| more)?,? (?:(?:when|once) i|later|tonight|tomorrow|after (?:work|class|school)|in the morning|if )",
            ),
            sign(
                CERTAIN,
                "next|prev|first|index",
                r"^(?=.{3,200}$)(?:[\s|/<>«»←→‹›⏮⏭◄►•·\[\]()~–—-]{0,8}(?:first|prev(?:ious)?|next|last|latest|index|home|contents|toc|start|wiki|patreon|discord|royal ?road|chapter list|table of contents)"
                r"(?: (?:chapter|part|book|story))?(?: \d{1,3})?(?=[\s|/<>«»←→‹›⏮⏭◄►•·\[\]()~–—-]|$)){2,10}[\s|/<>«»←→‹›⏮⏭◄►•·\[\]()~–—-]{0,8}$",
            ),
            sign(STRONG, "tbc|/", LEAD + r"(?:tbc|\d ?/ ?\d)\W{0,6}$"),
            sign(
                LIKELY,
                "more |part |rest ",
                LEAD
                + r"(?:more|part \w{1,5}|next part|rest) (?:to (?:come|follow)|coming|later|soon|tomorrow|tonight)(?: \w{1,12}){0,5}[\s.!?)\]]{0,5}$",
                r"\bmore to (?:come|follow)\b",
            ),
            sign(
                STRONG,
                "previous|prev|next|part|chapter|first|index",
                LEAD
                + r"(?:(?:previous|prev|next|first|last|latest|index|table of contents|parts?|chapters?|all)(?: (?:part|chapter|"
                + NUMBER
                + r"))?(?:[\s<>\[\]]{0,4}[|/*•·,][\s<>\[\]]{0,4}|$)){2,12}",
                LEAD + r"\[(?:previous|prev|next|first|last|latest)(?: \w{1,8})?\]\W*$",
            ),
            sign(
                CERTAIN,
                "helpmebutler|subscribeme|updateme|remindme|!subscribe|! subscribe",
                r"helpmebutler|subscribeme|updateme|remindme|! ?subscribe",
            ),
            sign(
                STRONG,
                "want me to|interested in more|like more|in the works|sidebar|see more",
                r"(?:want|like) me to (?:continue|keep (?:going|writing)|write (?:more|another|a part))|^\W{0,6}(?:interested in|want(?: to see)?|like|need) more\?|(?:part|chapter|sequel|one)[^.!?]{0,20}\bin the works\b|\bthe sidebar\b",
            ),
            sign(
                LIKELY,
                "keep going|keep writing|follow-up|follow up|sequel|stay tuned|another part|new part|new chapter|next part|next chapter|next update|new update|next few parts|out of space|will update|continuing|continue this|split|the link|part ",
                r"\b(?:keep (?:going|writing) (?:with|on|if)|i'll keep (?:going|writing)|follow[- ]?up|sequel|stay tuned|another part|(?:new|next|next few) (?:parts?|chapters?|update)|ran out of space|will update|continuing this|continue this|follow the link|split (?:it|this) (?:up|in|into))\b",
                r"\bpart "
                + NUMBER
                + r" (?:will|might|may|should|is)\b|^\W{0,6}part "
                + NUMBER
                + r" of \W{0,4}$",
            ),
        ),
        examples=(
            "[Part 2](https://www.reddit.com/r/my_stories/comments/abc123/) is up!",
            "(continued in the comments)",
        ),
    ),
    Rule(
        "link",
        "A web address or a Markdown link, alone or in a sentence by the author.",
        AUTHORED,
        (
            sign(STRONG, "](|] (", r"\[[^\]]{0,200}\] ?\( ?(?:https?|/r/|r/|/u/|u/|www|http)"),
            sign(STRONG, "http|www", URL),
            sign(
                LIKELY,
                ".com|.net|.org|.co|.blog",
                r"\b[a-z0-9-]{2,40}\s?\.\s?(?:com|net|org|blog|co|io|tumblr|wordpress)\b(?:/|[\s.)\]]|$)",
            ),
        ),
        examples=("https://www.example.com/my-blog",),
    ),
    Rule(
        "thanks",
        "Thanks to readers, for gold, for the prompt or for feedback.",
        AUTHORED,
        (
            sign(
                CERTAIN,
                "thank|thx|tysm",
                r"\b(?:thanks?|thank (?:you|u|ya|y'all)|thx|tysm)\b[^.!?]{0,80}\b" + SITE + r"\b",
                r"\b(?:thanks?|thank (?:you|u|ya))\b[^.!?]{0,60}/?u/\w",
            ),
            sign(
                STRONG,
                "thank|thx|ty |tysm|cheers",
                r"\b(?:thanks?|thx|cheers|ty|tysm|thank (?:you|u|ya))(?: (?:so|very|a lot|again|all|everyone|everybody|guys|you all|much|and|you|for taking the time|to (?:everyone|everybody|all|anyone)(?: who)?|for)){0,6},? (?:for )?(?:(?:read|took the time to read|taking the time to read|stopp\w{1,4} by)(?:ing)?)\b(?! (?:me|him|her|them|us|to|from|his|out|(?:this|the) (?:letter|rights|room|news|signs|map|message|note|journal|diary|will))\b)",
                r"\b(?:thanks?|thank (?:you|u)|thx)(?![^.!?]{0,30} for (?:coming|joining|listening|being|having|your time))(?: \w{1,10}){0,3},? (?:everyone|everybody|y'all|guys|you guys|folks|you all|all)(?: so much| again| for|[!.]|[\s!.:)<3]*$)",
                r"\b(?:thanks?|thank (?:you|u)) (?:\w{1,12} ){0,3}for (?:(?:all|the|your|so|such|a|many|this|of|these|lovely|nice|great|fun|wonderful|awesome|cool|amazing|good|interesting) ){1,5}(?:support|love|inspiration|story|compliments?|idea|suggestions?|encouragement|response|reads?|reception|views|votes)\b",
                r"\b(?:thanks?|credit|props|shout ?-?out|kudos)(?: \w{1,12}){0,4} (?:to|goes to) (?:\w{1,12} )?/?u/",
                r"^\W{0,4}(?:many |big |huge |so )?(?:thanks|thank you|thx|tysm)(?: so much| very much| again| a lot)? (?:guys|everyone|everybody|y'all|folks|all|reddit|op)\W{0,6}$",
            ),
            sign(
                LIKELY,
                "appreciate",
                r"(?:really|greatly|much|truly|so) appreciated?\b|\bappreciate (?:it|the|all|any|your|you|everyone)[^.!?]{0,40}(?:comment|feedback|read|word|support|love|guys|all\b|crit|responses)|(?:i|i'd) (?:really )?appreciate (?:it|any|all|the)",
            ),
            sign(
                HINT,
                "thank|thx",
                LEAD
                + r"(?:(?:and|oh|wow|so|many|but|anyway|anyways|again|also|well|ps|p\.s\.|omg|edit)[,.!:]? ){0,3}(?:thanks|thank you|thank u|thx)\b",
                r"\bthanks[!.]\W*$",
            ),
            sign(
                STRONG,
                "to everyone|to everybody|to all of you|to anyone|to whoever|to the person|to those",
                r"\b(?:love|thanks?|thank you|shout ?-?out|cheers|hello|hugs|props)(?: so much| a lot| again)? to (?:everyone|everybody|all of you|anyone|whoever|the person|all those) (?:who|that|for|coming|gild|gave)\w{0,5}\b",
                r"^(?:and )?to (?:everyone|everybody|all of you|anyone|whoever|the person|those)(?: of you)? (?:who )?[^.!?:]{0,120}[:,-] thank(?:s| you)\b",
            ),
            sign(
                LIKELY,
                "you guys|you're |you are |you all|you people|thank you enough|your replies|your messages|your comments|the replies|the comments",
                r"\byou(?:'re| are| guys| guys are| all| all are| people| people are)(?: (?:all|are|really|so|seriously|too|just|absolutely)){0,3} (?:awesome|amazing|wonderful|the best|so kind|so sweet|too kind|kind|sweet|great|incredible|lovely|rock)\b|can't thank you (?:all )?enough|\b(?:your|the|all of the|all the) (?:replies|messages|comments)\b",
            ),
        ),
        examples=("Thanks for reading, everyone!", "Thank you for the gold, kind stranger."),
    ),
    Rule(
        "feedback",
        "A request for comments or criticism, or the hope that the reader liked it.",
        AUTHORED,
        (
            sign(
                CERTAIN,
                "feedback|critici|critisi|critique|cc |c&c|concrit|crit",
                r"(?:feedback|critici[sz]ms?|critiques?|critici?sims?|critisisms?|\bcc|c&c|concrit|crits?)\b[^.!?]{0,60}(?:welcome|appreciated|encouraged|please|helpful|accepted|wanted|requested|would be|is great|are great)",
                r"(?:constructive|any|some|all|open to|love|welcome|looking for|leave|give me|take|want|get) (?:and all |and any )?(?:\w{1,12} ){0,3}(?:feedback|critici[sz]ms?|critiques?|concrit)\b",
            ),
            sign(
                STRONG,
                "constructive|advice|tips|pointers|suggestions",
                r"\bconstructive critic\w{0,5}",
                r"(?:advice|tips|pointers|suggestions)[^.!?]{0,40}(?:welcome|appreciated)",
                r"(?:any|writing) (?:\w{1,12} )?(?:advice|tips|pointers|suggestions)\b[^.!?]{0,40}(?:for me|improve|\?|better|welcome)",
            ),
            sign(LIKELY, "feedback|critique", r"\b(?:feedback|critique[sd]?)\b"),
            sign(
                STRONG,
                "what you|how you|what y'all|what everyone|what people|what u|how y|how people|thoughts|opinions|comments|suggestions|corrections|complaints",
                r"(?:let me know|lmk|love to (?:know|hear)|curious|interested in) (?:\w{1,12} ){0,4}(?:what|how) (?:you|y'all|everyone|people|ya'll|u)(?: (?:all|guys|folks))? (?:think|thought|felt|feel|liked)(?:[\s.!?:)<3]*$| of (?:it|this|the story)|[.!?]| and | about (?:it|this|the story)|, )",
                r"(?:comments|suggestions|opinions|thoughts|corrections|complaints)[^.!?]{0,50} (?:welcome|appreciated|encouraged)",
            ),
            sign(
                LIKELY,
                "thoughts?|think?|what you|what y'all",
                r"\b(?:any|your|what are your) thoughts\?",
                r"what (?:do|did) (?:you|y'all)(?: guys| all| folks)? think\?",
                r"(?:let me|tell me) (?:know )?what (?:you|y'all) (?:guys |all )?(?:think|thought)",
            ),
            sign(
                CERTAIN,
                "hope",
                r"hope (?:that )?"
                + READERS
                + r"(?:'ve| have| all| guys| folks)?(?: really| all)? (?:liked|enjoyed|loved|dug|like|enjoy|enjoys|enjoying|likes|dig|love) (?:reading|the (?:story|read|prompt|response|ending|twist)|my (?:\w{1,12} )?(?:story|response|take|attempt|writing|entry|work|prompt|first))",
                r"hope (?:it|this|that)(?:'s| is| was| wasn't| isn't|'ll| will| did| does)? (?:\w{1,12} ){0,4}?(?:fits?|follows|answers|satisf\w{1,5}|suits|meets) (?:\w{1,12} ){0,3}?(?:prompt|what you|the bill|criteria)",
            ),
            sign(
                STRONG,
                "hope",
                r"^[^.!?]{0,60}hope (?:that )?"
                + READERS
                + r"(?:'ve| have| all| guys| folks)?(?: really| all)? (?:liked|enjoyed|loved|dug)(?: (?:it|this|that|what)\b|[\s!.:)]*$)",
                r"(?:^|[.!?] )\W{0,4}(?:i |and i |but i |so i )?(?:really )?hope (?:that )?"
                + READERS
                + r"(?: all| guys| folks)?(?: really| all)? (?:like|enjoy|enjoys|likes|dig|love) (?:it|this|that|this one)[\s!.:;)(<3dp]*$",
                r"hope (?:it|this|that) (?:made|makes) you (?:smile|laugh|cry|feel|think)\b",
                r"hope (?:it|this|that)(?:'s| is| was|s| wasn't| isn't| makes| reads)? (?:\w{1,12} ){0,4}?(?:readable|suitable|to your liking|what you (?:wanted|were|had)|enjoyable|close enough|does (?:it|the prompt) justice)\b",
            ),
            sign(
                LIKELY,
                "hope",
                r"hope (?:that )?"
                + READERS
                + r"(?:'ve| have| all| guys| folks)?(?: really| all)? (?:like|liked|enjoy|enjoyed|dig|love|loved) (?:it|this|that)\b(?! (?:here|there|in|out|up|down|when|as))",
                r"hope (?:it|this|that)(?:'s| is| was|s| wasn't| isn't| makes| reads| did| does) (?:\w{1,12} ){0,4}?(?:ok|okay|good|enough|sense|alright|terrible|bad|decent)\b",
            ),
            sign(
                LIKELY,
                "enjoy",
                r"^\W{0,6}(?:enjoy|hope you enjoy)\W{0,8}(?:(?:it|this|reading|guys|everyone|folks|the story|:\)|:d)\W{0,5}){1,3}$",
            ),
            sign(HINT, "enjoy", r"^\W{0,6}(?:anyways?,? |so,? )?enjoy[\s!.:)d;]*$"),
            sign(
                HINT,
                "be gentle|be kind|go easy|be nice|roast|tear|harsh",
                r"\b(?:be gentle|be kind|go easy|be nice|roast me|tear (?:it|me|this) apart|don't be (?:too )?harsh)\b",
            ),
            sign(
                LIKELY,
                "how i did|i do?|did i do|what i |know if |love to hear|make sense",
                r"know how i did|how(?:'d| did) i do\?|(?:tell me|know) what i (?:did|got|am doing) wrong|know if (?:you (?:see|spot|find|notice)|i (?:made|missed)|something|anything)|love to hear (?:your|what|from you|any)|if (?:something|anything|it|this) doesn't make sense",
            ),
        ),
        examples=("Any feedback is welcome.", "Hope you liked it!"),
    ),
    Rule(
        "label",
        "A paragraph with an author's label: `A/N:`, `Author's note`, `Disclaimer:`, `Trigger warning:`, `TL;DR`.",
        AUTHORED,
        (
            sign(
                CERTAIN,
                "author|writer|op's|a/n|a / n|a.n.|an:|ooc|note|foreword|before you|before we|contents|to my|to all",
                LEAD
                + r"(?:(?:quick |small |brief |final |end |ending |short )?(?:author|writer|op)(?:'?s|s'|)? ?-? ?(?:(?:end)?notes?|comments?|edit)|a ?/ ?n|a\.n\.|ooc)\s?(?:\d )?(?:\([^()]{0,40}\))?[\])}]{0,2}\s?(?::|-|–|—|\.|,|\]|$|i |this |sorry|so |it |the )",
                LEAD + r"a ?/ ?n\b",
                LEAD + r"author here\W",
                LEAD + r"an ?:",
                LEAD
                + r"(?:foreword|(?:an? )?(?:quick|short|small|brief|important) (?:note|word|announcement)|(?:a (?:quick |small )?)?(?:note|word) (?:before (?:you|we) (?:start|begin|read)|from the author)|table of contents|contents"
                r"|author'?s? notes? (?:and|&) \w{1,12})\W{0,4}(?:$|:)",
            ),
            sign(CERTAIN, "trigger warning|content warning", LEAD + r"(?:trigger|content) warnings? ?[:-]"),
            sign(STRONG, "cw|tw|content note", LEAD + r"(?:[ct]w|content notes?) ?(?::|//|-)"),
            sign(
                STRONG,
                "disclaimer|tl;dr|tldr|tl:dr|tl,dr|tl dr|obligatory|inspir|trigger|content",
                LEAD
                + r"(?:disclaimer ?[:,-]|tl ?[;:,]? ?dr\b|obligatory:|inspir(?:ed by|ation) ?:|(?:trigger|content) warnings? ?[:-])",
            ),
            sign(STRONG, "obligatory", LEAD + r"obligatory\b"),
            sign(
                LIKELY,
                "to my|to all",
                LEAD
                + r"to (?:all )?(?:of )?my (?:\w{1,12} )?(?:readers|reviewers|followers|subscribers|patrons)\W",
            ),
            sign(
                LIKELY,
                "note|btw|fyi|warning|credit|source|context|reference|tw|cw|nsfw|fun fact|spoiler|backstory|prologue note|clarif",
                LEAD
                + r"(?:(?:quick |small |brief |final |side ?|just a )?(?:foot |end )?notes? ?(?::|-)|(?:some|a few|a couple of) (?:quick )?notes\b|btw\b|fyi\b|fun fact ?:|for (?:context|reference)[,:]|(?:credits?|sources?|context|references?|backstory|clarification|background) ?:|warnings? ?:|[tc]w ?:|nsfw\b|spoilers?\b|just (?:a )?(?:fyi|note))",
            ),
            sign(HINT, "ps|p.s|p. s", LEAD + r"p ?\.? ?s ?\.?\s?[:.,;-]"),
        ),
        examples=(
            "A/N: I know the ending is a bit rushed.",
            "Author's Note: set in the world of my last story.",
        ),
    ),
    Rule(
        "author_note",
        "The author's remarks on the text: how, when and where it was written, apologies, sources, the prompt.",
        AUTHORED,
        (
            sign(
                CERTAIN,
                "first|1st|second|2nd|third",
                r"(?:my|is my|was my|this is|(?:it's|its|is|been)) (?:very |literally |actually )?(?:first|1st|second|2nd|third)(?: (?:ever|real|actual|serious|proper|big|few))?[ -](?:time (?:ever )?(?:posting|responding|poster|submitting|commenting|on (?:this|here|wp|r/)|replying|contributing|attempting|writing (?:a|an|any|on|here|for|something|fiction|in (?:this|a while|years|ages|forever|english)|one|this|like))|attempts? (?:at|in|on) (?:\w{1,12} )?(?:writing|a story|prompt|wp|creative|short|fiction)|(?:writing ?)?prompts?\b|wp\b|submission|response\b|contribution|posts? (?:here|on|in|to|ever)|post\W*$|shot at (?:a|this|writ)|go at (?:a|this|writ)|try at (?:a|this|writ)|stab at (?:a|this|writ)|story (?:here|on (?:here|this|reddit|wp|r/)|ever|post|i've|that i(?:'ve| have))|entry\b|creative writing|short story)",
                LEAD
                + r"(?:first|1st)(?: ever)?[ -](?:time (?:ever )?(?:posting|writer|poster|posted|responding|contributor|submitting|here|on (?:this|here|wp)|commenting|prompt|writing (?:for|on|here|a|in|anything|something|fiction))|timer|prompt|attempt at|wp\b|submission|response|post\b)",
                r"long ?-?time (?:lurker|reader|subscriber)|first ?-?time (?:poster|contributor|writer|submitter)",
            ),
            sign(
                STRONG,
                "first|1st",
                LEAD
                + r"(?:this is |it's )?(?:my )?(?:first|1st) (?:time (?:doing|trying|writing|attempting)|try|attempt|go|shot|story)(?: (?:at )?(?:this|one|it|one of these|here|something|anything|a \w{1,12}|ever)){1,3}\b",
            ),
            sign(
                CERTAIN,
                "english|my first language|native|mobile|phone|app format|app so|autocorrect|ipad|tablet",
                r"(?:english|this) (?:is not|isn't|isnt|ain't|not) my (?:first|native|mother|main|primary|strong)|(?:not|isn't) (?:a |an |my )?(?:native|first) (?:english )?(?:speaker|language)|not (?:so |very |too )?good (?:at|with) english|non-?native (?:english )?speaker",
                r"\b(?:on|from|via|using) (?:the |my )?mobile\b(?! phone)|(?:mobile|phone|app) (?:formatting|format|typing|user|so (?:sorry|excuse|forgive|please|i )|sucks)|(?:blame|damn|stupid|thanks to|thank you|thanks)[^.!?]{0,20}autocorrect|autocorrect[^.!?]{0,30}(?:typo|mistake|error|sorry)",
                r"\b(?<!i'm )(?<!i am )(?:wrote|written|typed|writing|typing|typed up|posting|posted|did) (?:(?:this|it|that|all|of|up|out|everything|entirely|the whole thing|quickly|in|from|a hurry) ){0,3}(?:on|from|with|using|via) (?:(?:my|a|an|the|crappy|stupid|shitty|old|tiny) ){0,2}(?:mobile|phone|iphone|ipad|tablet|cell)\b",
            ),
            sign(
                CERTAIN,
                "hiatus",
                r"\b(?:fic|fics|stor(?:y|ies)|chapters?|updates?|updating|posting|series|serial|writing|book)\b[^.!?]{0,60}\bhiatus\b|\bhiatus\b[^.!?]{0,60}\b(?:fic|stor(?:y|ies)|chapters?|updates?|updating|posting|series|writing)\b",
            ),
            sign(
                STRONG,
                "dyslexi|spellcheck|spell check|harmed|consulted|artistic|creative|licen",
                r"\b(?:i'm|i am) dyslexic|\bspell ?-?check(?:er)?\b|\b(?:artistic|creative) licen[cs]e\b",
                r"^\W{0,4}no (?:actual |real )?[\w' ]{1,30} (?:was|were) (?:harmed|hurt|consulted)\b",
            ),
            sign(
                LIKELY,
                "mistake|typo|error|nonsense|rambling|silliness|puns",
                r"(?:spot|see|find|notice) (?:a|any) (?:mistakes?|typos?|errors?)\b|^\W{0,4}(?:sorry|forgive|excuse|apologies)(?: for)? (?:the|my) [\w' ]{0,20}\b(?:nonsense|rambling|silliness|puns)\b",
            ),
            sign(STRONG, "format", r"formatting (?:is|may|might|on mobile|issues?|sucks|errors?|got)"),
            sign(
                STRONG,
                "wrote|written|typed|writing|typing|whipped up",
                r"(?:wrote|written|typed|writing|typing|typed up|whipped up) (?:this|it|that|up|this up|this one|this story|quickly|entirely|in)?(?: \w{1,12}){0,4}? ?(?:in|on|at|during|while|before|after|between) (?:\w{1,12} ){0,2}?(?:one sitting|notepad|\d{1,3} (?:minutes|mins|min|hours?)|(?:a )?(?:few|five|ten|fifteen|twenty|thirty|forty|half an|an) (?:minutes|mins|hours?)|hour|(?:in )?class\b|work\b|bus\b|lunch|break\b|toilet|train\b|\d{1,2} ?(?:am|pm|in the morning)|drunk|high\b|half asleep|sleep deprived|commute)",
            ),
            sign(
                STRONG,
                "written|wrote|posted|write |post |attempted|done|tried",
                r"(?:haven't|have not|havent|never|long time since i(?:'ve)?|been (?:\w{1,12} ){1,4}(?:since|that) i(?:'ve| have|'d)?|rarely|don't (?:usually|normally|often|really)) (?:\w{1,12} ){0,3}(?:written|write|wrote|posted|post|done|tried|attempted) (?:\w{1,12} ){0,4}?(?:anything|here|before|fiction|creative\w{0,2}|stories|prompts?|stuff|in (?:a|years|ages|forever|so|quite|the)|much|one of these|like this)\b",
            ),
            sign(
                STRONG,
                "writing|writer|fiction|prompts|this sub|whole thing",
                r"(?:new (?:to|at)|not (?:used to|much of|good at|great at|very good at)|practic\w{1,3}|improve|improving|better (?:at|with)|out of practice with|get back into|hand at|get into) (?:my )?(?:(?:creative|this|fiction|short|story|a|whole) ){0,2}(?:writ(?:ing|er)\b|prompts?|sub\b|fiction|this (?:sub|thing|whole thing)|writing prompts)",
            ),
            sign(
                STRONG,
                "proof|edited|draft|nanowrimo|in progress|wip|revise|edit this",
                r"\b(?:not|un)[ -]?(?:proof ?-?read|edited|beta'?d|revised)\b|(?:didn't|haven't|did not|no time to|hasn't been|didnt|havent|barely|wasn't) (?:\w{1,12} ){0,2}(?:proof ?-?read|edited|edit this|revise)|\b(?:first|rough|quick) draft\b|nanowrimo|work in progress|\bwip\b",
            ),
            sign(
                STRONG,
                "prompt|this sub|subreddit|this thread|wp|other responses|other replies",
                r"\b(?:this|the|your|great|good|fun|awesome|cool|interesting|nice|amazing|fantastic|neat|other|of|op's|original|lovely|excellent|brilliant|old|another|writing|different|these|my|to|a|love|loved|off|follow\w{0,3}|fit|image|first|similar|any) (?:\w{1,12} )?(?:prompts?|wp)\b(?! (?:appear|blink|flash|cursor|me\b|him\b|her\b|them\b|us\b|reply|attention|action|and|delivery|box|window|screen))",
                r"\b(?:this sub|this subreddit|this thread(?! (?:has been|was|is) (?:un)?locked)|other (?:responses|replies|submissions|answers here))\b|\bwritingprompts?\b|writing prompts?\b|\bprompt (?:made|has|immediately|gave|reminded|really|just|inspired|idea)\b",
            ),
            sign(
                STRONG,
                "sorry|apolog|forgive|excuse|pardon|ignore|bear with|typo|grammar|grammatical|spelling",
                r"\b(?:sorry|apolog\w{1,6}|forgive|excuse|pardon|ignore|bear with)\b[^.!?]{0,60}\b(?:format\w{0,4}|mobile|typos?|spelling|grammar|grammatical|(?:any|for) (?:\w{1,12} )?(?:mistakes?|errors?)|the (?:length|short length|delay|wait|quality|ending|abrupt|wall|late|short|long)|length|wall of text|it(?:'s| is| was| got)? (?:so |a bit |a little |kind of |kinda |too )?(?:long|short|crap|crappy|rushed)|being so (?:long|short)|bad (?:english|writing|grammar)|my (?:english|writing|bad|terrible|poor)|rushed|rambling|late (?:post|response|reply|submission)|crappy|shitty (?:story|writing)|cheesy|cliche\w{0,2})\b",
                r"(?:any|are|my|some|all|for|probably|lots of|tons of|many|see|find|notice|spot) (?:\w{1,12} )?(?:typos?|grammatical errors|grammar (?:mistakes|errors)|spelling (?:mistakes|errors))\b",
            ),
            sign(
                LIKELY,
                "sorry|apolog|forgive|mistake|error",
                r"\b(?:sorry|apolog\w{1,6}) (?:\w{1,12} )?(?:if|that) (?:this|it|the) (?:\w{1,12} )?(?:is|was|isn't|wasn't|got|seems|reads|sucks|doesn't|story)",
                r"(?:any|my|are|some) (?:mistakes|errors)\b",
                LEAD
                + r"sorry\b[^.!?]{0,60}(?:so long|so short|got carried away|carried away|bad (?:english|writing)|rushed)",
            ),
            sign(
                STRONG,
                "inspired|influenced|based |to write|to respond|to do this prompt|writing|with this|with the|coming up",
                r"(?:inspired|influenced) by (?:\w{1,12} ){0,6}?(?:song|movie|film|book|story|show|game|prompt|episode|series|comic|poem|short story|author|anime|novel|photo|photograph|picture|image|artwork|video|meme|headline|/?u/|/?r/)|(?:this|it|story|loosely|heavily)(?: (?:was|is|is loosely|is heavily|was loosely|all|actually|partly|partially|kind of|sort of)){0,2} (?:based|inspired|influenced) (?:on|by|off)\b(?! (?:everything|what|all))",
                LEAD
                + r"(?:very |loosely )?based (?:very )?(?:loosely )?(?:on|off) an? (?:\w{1,12} )?(?:dream|nightmare|true story|song|real|story|picture|conversation)\b",
                r"(?:this|that|it) (?:was|is|has been|were) (?:\w{1,12} ){0,4}?(?:fun|hard|hell|blast|joy|difficult|tough|great|harder|challenging|interesting|weird|pleasure|enjoyable|painful|cathartic) to (?:write|do this prompt|respond)",
                r"(?:had|have) (?:\w{1,12} ){0,4}(?:fun|blast|trouble|time) (?:writing|with (?:this|the) (?:prompt|one)|coming up)",
            ),
            sign(
                STRONG,
                "wrote|typed|whipped up|threw together|banged out|cranked out|knocked out",
                r"\bi (?:just |also |only |originally |actually |quickly |really |kinda |sort of |basically |finally |initially |literally )?(?:wrote|typed|whipped up|threw together|banged|cranked|knocked) (?:\w{1,12} ){0,2}?(?:this|that (?:story|one)|this up|something|up|out)\b[^\n]{0,60}(?:minutes|quick|phone|late|night|story|ago|school|class|work|song|prompt|drunk|tired|hour|asleep|sitting|rush|fast|sub\b|hope|year)",
            ),
            sign(
                STRONG,
                "story|piece|response|submission|this one|this post|this scene",
                r"\b(?:this|my) (?:story|piece|response|one|submission|little story|short story|post|scene) (?:is|was|may|might|got|ended|turned|has|went|isn't|came|takes|actually|kinda|kind|sort|brought|probably)\b[^\n]{0,80}(?:prompt|writ(?:e|ing|ten|er)\b|\bbased (?:on|off)\b|i wrote|\bread\b|cliche|sequel|universe|series|posted|reply|edit|draft|intended|inspired by|longer than|novel|project|character limit|brought to you)",
                r"\bthis story brought to you\b",
            ),
            sign(
                STRONG,
                "writer|at writing|this sub|speaker|at english|to writing|to reddit|with writing",
                r"(?:i'm|i am|im) (?:not )?(?:really |exactly |usually |normally |still |by no means |no |also |just )?(?:a |an |much of a |too |very )?(?:good |great |new |novice |aspiring |amateur |beginner |beginning |talented |professional |published |pretty new |super new |native )+(?:writer|at writing|at this sub|with writing|speaker|at english|to (?:writing|this sub|reddit))",
                r"(?:don't|do not|wouldn't|never) (?:really )?(?:consider|call|think of) myself (?:\w{1,12} ){0,4}writer",
            ),
            sign(
                STRONG,
                "novel|project|series|book i|universe|story i|world i|larger|something i|serial",
                r"\b(?:part|piece|excerpt|chapter|scene|snippet|idea|character) (?:of|from|for|in) (?:a |my |this |the |some )(?:\w{1,12} )?(?:novel|project|series|book i|universe|story i|world i|larger|something i|serial)\b",
            ),
            sign(
                STRONG,
                "prompt|topic|script|butchered|i rushed|overboard|went off|went a |went way",
                r"\bi (?:also )?(?:may have|might have|kind of|kinda|totally|sort of|sorta|definitely|probably|really)? ?(?:went (?:off|overboard|way over|a (?:bit|little) (?:over|off)) ?(?:prompt|topic|on|with|script)?|butchered|rushed (?:the|it|this|that))",
            ),
            sign(
                STRONG,
                "ending|title|writing|dialogue|grammar|spelling",
                r"\bi (?:suck|am terrible|am bad|am awful|am not good|am not great) (?:\w{1,12} )?(?:at|with) (?:endings?|titles|writing|dialogue|grammar|spelling)\b|i'm (?:terrible|bad|awful|not good|not great) (?:at|with) (?:endings?|titles|writing|dialogue|grammar|spelling)",
            ),
            sign(
                STRONG,
                "how to |where |a good ending|of an ending|better ending|of a title|proper ending|good title",
                r"(?:not (?:really )?sure|no idea|don't (?:really )?know|didn't (?:really )?know|couldn't (?:think|figure|decide)|wasn't sure|unsure)[^.!?]{0,24}(?:how to (?:end|finish|continue|start) (?:this|it|the story)\b|where (?:i was|to go|i'm|this (?:is|was)|to take)[^.!?]{0,12} (?:going|with) (?:with )?(?:this|it)\b|of a(?:n| good| better| proper)? (?:ending|title))",
            ),
            sign(
                STRONG,
                "my best|best work|my worst|usual |out of time|out of steam|out of ideas|out of characters|out of room|out of space",
                r"(?:not|probably|isn't|definitely) my (?:best|worst|usual) (?:work|writing|story|piece|style)\b|(?:ran|running|run) out of (?:time|steam|ideas|characters|room|space)\b[^.!?]{0,40}(?:writ|end|story|prompt|post|finish|\bso\b|here)",
            ),
            sign(
                STRONG,
                "expect|thought|think|imagine",
                r"(?:didn't|never|don't|did not) (?:\w{1,12} )?(?:think|expect|expected|thought|imagined?)[^.!?]{0,30}\b(?:people|anyone|anybody|you guys|so many|this many|this to|it to) (?:\w{1,12} ){0,4}?(?:like|read|liked|blow|be so|enjoy|popular|love|comment|respond|upvot\w{1,4})\b",
            ),
            sign(
                STRONG,
                "wondering|curious|asking|interested|confused|who don't|who didn't|who missed|who want|who asked|who are|who were",
                r"(?:in case|if|for) (?:anyone|anybody|those|any|people|those of you|you guys)(?: \w{1,12}){0,2} (?:wondering|curious|asking|interested|confused|who (?:are|were|don't|didn't|haven't|missed|want|asked))\b",
            ),
            sign(
                LIKELY,
                "here goes|here is my|here's my|late to|hope i'm|different|twist|liberties|not exactly|not quite|loosely|take on",
                r"\bhere goes\b|here(?:'s| is) my (?:attempt|take|try|shot|stab|response|go|entry|submission|contribution)|late to (?:the|this) (?:party|prompt|thread|game)|(?:hope )?i'm not (?:too )?late|(?:slightly|slight|bit of a|little) (?:different|twist|off|liberties)|took (?:some|a few|a little|a bit of|a lot of) (?:creative )?libert|not (?:exactly|quite|really|sure if this is) what (?:you|op|the prompt)|my take on",
            ),
            sign(
                LIKELY,
                "asleep|to sleep|finish|at work|to work|tired|drunk|to bed|to class|to school|to run|gotta|on break|lunch",
                r"i'm (?:half asleep|really tired|so tired|super tired|drunk|at work|off to bed|going to (?:bed|sleep)|on (?:break|lunch|my (?:break|lunch)))|\b(?:will|i'll) finish (?:later|this|it|when)|(?:got to|gotta|have to) (?:go|get|run|head)(?: back)? (?:to (?:bed|work|sleep|class|school)|now)",
            ),
            sign(LIKELY, "see what i did", r"\bsee what i did there\b"),
            sign(
                STRONG,
                "challenge|word list|sentence block|constraint|theme thursday|defining",
                r"\b(?:flash fiction|seus|micro ?fiction) challenge\b|^\W{0,4}(?:for|my entry for) (?:the |this )?[^.!?]{0,30}\bchallenge\b|\b(?:word list|sentence blocks?|constraints?|defining (?:features?|genre)) ?:|\btheme thursday\b",
            ),
            sign(
                STRONG,
                "you know|hotline|lifeline|crisis|text ",
                r"\bif you(?:'re| are)? or (?:someone|anyone|somebody) you know\b|\bsuicide (?:prevention|hotline|lifeline)|\bcrisis (?:text )?line\b|\btext \w{2,10} to \d{5,6}\b",
            ),
            sign(LIKELY, "fanfic|fan fic|ao3|kudos", r"\b(?:fan ?fic\w*|ao3|kudos)\b"),
            sign(LIKELY, "brought to you", r"brought to you (?:by|from)"),
            sign(LIKELY, "my best", r"(?:^|[.!?] )(?:probably |definitely |certainly )?not my best\b"),
            sign(
                LIKELY,
                "better at",
                r"\b(?:get|getting|become|be) better at (?:\w{1,12} )?(?:endings?|titles|writing|dialogue|grammar|descriptions?|pacing)\b",
            ),
            sign(
                LIKELY,
                "credit|ly stole|ly ripped|reference|shout out|shoutout|shout-out|bonus points|props|points|cookie|upvote",
                r"(?:just to )?give credit|credits? (?:to|goes)|all credit|(?:i )?(?:blatantly|shamelessly|totally) (?:stole|ripped)|shout ?-?out to|bonus points|props (?:to|if)|(?:points|cookie|upvote) (?:if|to|for) (?:you|any|who)|(?:get|got|catch|caught) the reference",
            ),
            sign(
                LIKELY,
                "ending|that's |true story|off the top|cliche|rusty|own any|own the",
                r"(?:rushed|bad|cheesy|weak|crappy|terrible|good|alternate|better|abrupt) ending|that's (?:all|it|as far as) (?:(?:i|i've) (?:have|got|could|can|wrote|written)|for now)|\btrue story\b|off the top of my head|cliche|(?:a (?:bit|little) |so |super |very |quite )?rusty\b|(?:do not|don't) own (?:any|the|these)",
            ),
            sign(
                STRONG,
                "lurk|repost|all rights reserved|copyright|fictional|throwaway",
                r"been lurking|\b(?:re-?post|copy) (?:this )?without|all rights reserved|copyright (?:\d|©|by)|characters (?:and events |and places )?(?:are|is) (?:all |purely |entirely )?fiction|(?:using|from|on|is) a throwaway",
            ),
            sign(LIKELY, "inspir", LEAD + r"(?:this (?:was|is|one was) )?inspired by\b"),
            sign(
                LIKELY,
                "writing|wrote|written|write |typing|typed|stories",
                r"\b(?<!i'm )(?<!i am )(?:writing|wrote|written|write|typing|typed) (?:this|these|it down)\b|\b(?:own|of my|my first|these) stories\b",
            ),
            sign(
                LIKELY,
                "reference to|lyrics|translat|poem|song|the name|the title|plot hole|plothole|pacing|tenses|the twist|the narrator|perspective",
                r"\ba reference to\b|^\W{0,6}lyrics\b|^\W{0,6}translat(?:ion|ed)\b|\bthe (?:title|poem|song|name)[^.!?]{0,30} (?:is by|is from|comes from|is taken|is a)\b|\b(?:plot ?holes?|pacing|the tenses)\b|\bthe (?:twist|perspective) (?:is|was|too|might|may|wasn't|isn't)\b",
            ),
        ),
        examples=(
            "First time posting here, written on my phone, so forgive any typos.",
            "Inspired by a song. Great prompt!",
        ),
    ),
    Rule(
        "reddit_talk",
        "Words specific to Reddit: upvotes, gold, OP, karma, the front page, the inbox.",
        ("reddit",),
        (
            sign(
                STRONG,
                "gild|gold|silver|platinum|blew up|exploded|took off|front page|frontpage|inbox|kind stranger|comment|post|reddit",
                r"(?:first|reddit|my) gold\b(?! (?:coin|ring|watch|medal|chain|bar|piece|tooth|necklace|rush|mine|crown|in\b|of\b|from\b|and\b|is\b|was\b|had\b|that\b))|(?:someone|somebody|stranger|you|who) (?:gave|bought|gifted|gilded|got) (?:me|this) (?:\w{1,12} )?(?:gold|silver|platinum)|gold(?:\?|!) ?(?:for|holy|wow|thank|i |what|really)|\bgild(?:ed|ing)\b[^.!?]{0,30}\b(?:me\b|this|comment|story|post|stranger)|(?:first|my|the|been|got|a) gild(?:ing|ed)\b(?=[!.]|$)|(?:this|that|it)(?: \w{1,12}){0,2} (?:blew up|exploded|took off)[^.!?]{0,20}(?:overnight|while i (?:was|slept)|!|$)|(?:hit|on|made|reached|made it to|to) (?:the )?front ?page\b(?! of (?!reddit))|front ?page!|rip (?:my )?inbox|kind stranger|(?:my )?(?:top|highest|most upvoted|best) (?:\w{1,12} ){0,2}(?:comment|post)\b|reddit cherry",
            ),
            sign(
                LIKELY,
                "vote|voting|my inbox|karma",
                r"\b(?:up|down)vot\w{1,4}|my inbox|\bkarma\b(?=[^.!?]{0,30}(?:whore|reddit|comment|post))",
            ),
            sign(LIKELY, "reddit", r"\b(?:reddit|subreddit|redditors?)\b"),
            sign(STRONG, "u/", LEAD + USER + r"\W{0,8}$"),
            sign(LIKELY, "u/", USER),
            sign(
                LIKELY,
                " op|op'|op,|(op",
                r"(?:^|[\s,(])op(?:[,.!?)]|'s| (?:for|said|asked|wanted|is|meant|has|posted|had)|$)",
            ),
            sign(
                LIKELY,
                "comment|this sub|feel free|pm me",
                r"(?:comments?|comment) (?:below|section)|feel free to (?:comment|ask|critique|correct|pm|message|use|steal|point|let me|reply|nitpick|roast|(?:tear|rip|pick) (?:it|this|me))|\bpm me\b|(?:all|your) (?:the )?comments\b",
            ),
            sign(CERTAIN, "[deleted]|[removed]", r"^\s?\[(?:deleted|removed)\]\s?$"),
        ),
        examples=("Woah, this blew up overnight! My first gold!",),
    ),
    Rule(
        "word_count",
        "The number of words, alone in its paragraph or in brackets.",
        AUTHORED,
        (
            sign(
                CERTAIN,
                "word|wc|w/c",
                LEAD
                + r"(?:(?:total |final )?(?:word ?-?count|wc|w/c|words?(?=\s?[:=~-]))\s?(?::|-|=|is|of|~|\s){1,3}\s?~?(?:about |around |approx\w{0,8}\.? )?[\d,.]{1,7}(?: ?/ ?\d{1,5})?(?: words?)?|~?(?:exactly |about |around |approx\w{0,8}\.? |total )?[\d,]{2,7} ?(?:words?|wc)(?: (?:exactly|total|long|so far|on the dot|according to \w{1,12}))?)[\s)\]}.!]{0,6}$",
                r"[(\[]\s?(?:word ?count|wc|words)\s?[:=-]?\s?[\d,]{2,7}(?: words)?\s?[)\]]",
                r"[(\[]\s?~?(?:exactly )?[\d,]{2,6} words\s?[)\]]",
            ),
            sign(STRONG, "word|wc", LEAD + r"(?:word ?-?count|wc) ?[:=] ?~?[\d,]{2,7}\b"),
            sign(LIKELY, "word", LEAD + r"~?(?:exactly |about |around )?[\d,]{2,7} words[.,;!] "),
        ),
        examples=("[WC: 784]", "*~700 words*"),
    ),
    Rule(
        "prompt",
        "The writing prompt itself, repeated before the story: `[WP] ...`, `Prompt: ...`.",
        ("reddit",),
        (
            sign(CERTAIN, "[", r"^[\s(<>#|:;.,+&-]{0,12}\[(?:wp|eu|tt|cw|rf|sp|pm|pi|ip|mp|ot|cc)\]"),
            sign(CERTAIN, "prompt|wp", LEAD + r"(?:original |the |writing )?(?:prompt|wp) ?:"),
        ),
        where="head",
        examples=("[WP] You wake up as a talking duck.",),
    ),
    Rule(
        "superscript",
        "Reddit's small print: a paragraph that is all superscript, `^(More at my page)`.",
        ("reddit",),
        (sign(STRONG, "\x01", r"^\x01"),),
        examples=("^(I write more of these at my own place.)",),
    ),
    Rule(
        "page_furniture",
        "Elements of a web page around a story: share and comment links, navigation, tags, dates, copyright, advertisements.",
        SITES,
        (
            sign(
                CERTAIN,
                "©|entry was|thought|share|like this|comment|repl|posted|tagged|filed|categor|cookie|rights reserved|copyright|advertis|sign up|newsletter|skip to|print|kudos|terms of|privacy",
                LEAD
                + r"(?:this entry was posted|\d{1,4} thoughts? on\b|share (?:this|on|via)\b|click to share|like this:|like loading|leave a (?:comment|reply)|\d{1,5} (?:comments?|replies|likes|kudos|views)\W*$|post a comment|no comments|(?:posted|published|written|filed|tagged)(?: (?:by|on|in|under|with|as))? [^.!?]{2,80}(?:\d{4}|\d{1,2}:\d\d|,|$)|tags?:|categor(?:y|ies):|all rights reserved|(?:copyright|\(c\)|©)\s?(?:\(c\)|©)?\s?\d{4}|advertisements?\W*$|sign up (?:for|to)|subscribe to (?:our|the|my|this)|skip to (?:content|main)|terms of (?:service|use)|privacy policy|we use cookies|print this)",
            ),
            sign(
                STRONG,
                "edition|story was|story won|piece|listed|novel|collection|reproduced|photo|image|picture|illustration|artwork|points|ago by|permalink|posted by|last edited|join|posts|permission|published|appeared|author of|newer|older|email",
                r"\b\d+ points? \d+ \w+ ago\b|\bsubmitted \d+ \w+ ago by\b|^\W{0,4}(?:permalink|embed)\b|\boriginally posted by\b|^\W{0,4}last edited by\b|^\W{0,4}join(?:ed| date) ?:|^\W{0,4}posts ?: ?\d",
                r"\bre-?(?:printed|published) (?:here )?(?:by|with) (?:kind )?permission\b|\b(?:was )?(?:first|originally|previously) (?:published|appeared) in\b|\b(?:stor(?:y|ies)|fiction|work|writing|poe(?:ms?|try)) (?:has|have) (?:been published|appeared) in\b|^[^.!?]{0,60} is the author of\b",
                r"\b(?:collection|novel|stor(?:y|ies)|work)\b[^.!?]{0,60}\b(?:long|short)listed for\b|\bis (?:at work|working) on (?:a|her|his|their) (?:\w{1,12} )?(?:novel|collection)\b|\breproduced (?:here )?(?:by|with) permission\b",
                r"^\W{0,4}this (?:story|piece)\b[^.!?]{0,40}\b(?:won|winner|runner-up|finalist|shortlisted|longlisted|placed)\b",
                r"^\W{0,4}(?:cover |header )?(?:photo|image|picture|illustration|art(?:work)?)s?(?: credits?)?(?: ?:| by | courtesy )",
                r"^\W{0,4}(?:newer|older) posts? ?:|\[email address\]|^\W{0,4}(?:first|second|third|revised) edition\W{0,6}$",
            ),
            sign(
                STRONG,
                "chapter|read|contents|review|home|back to|summary|rating|disclaimer|r&r",
                LEAD
                + r"(?:(?:(?:next|previous|prev|first|last) (?:chapter|story|page|post)s?[\s|<>«»:/-]{0,6}){1,4}$|table of contents\W*$|continue reading|read more\W*$|(?:estimated )?reading time\b|\d{1,2} min(?:ute)?s? read\b|back to (?:top|the top|home)|home\s?[|>»/]|please (?:read and )?review|r ?& ?r\b|(?:rating|fandom|pairing|archive warning|summary) ?:)",
            ),
        ),
        examples=("Share this: Twitter Facebook", "Previous Chapter | Next Chapter"),
    ),
    Rule(
        "classifier",
        "A note without any of the signs above, after a divider, in the typical words of authors about their own text.",
        AUTHORED,
        (),
        examples=("I never would have thought that my silly little story would reach so many people.",),
    ),
)
