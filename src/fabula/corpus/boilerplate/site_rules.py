"""The rules for what the sites of fan fiction and serials, blogs and newsletters put around a story.

Most of it is short and formal: the fields of a header, the labels of sections, the buttons of a page. See `rules.py` for
what a rule is.
"""

from fabula.corpus.boilerplate.rule import CERTAIN, LEAD, LIKELY, STRONG, Rule, sign

SITES = ("web", "ao3", "fanfiction", "wattpad", "royalroad")

SITE_RULES: tuple[Rule, ...] = (
    Rule(
        "story_header",
        "A field of the header of a work: `Rating: T`, `Fandom: ...`, `Summary: ...`, `Disclaimer: ...`.",
        SITES,
        (
            sign(
                CERTAIN,
                "a/n|a / n|note|author|rat|warning|categor|fandom|relationship|pairing|tags|stats|summar|genre|beta|disclaimer|gift|spoiler|collection|characters|dedicat|own|series|language|published|archive|original",
                LEAD
                + r"(?:(?:archive |content |trigger )?(?:rating|rated|warnings?)|categor(?:y|ies)|fandoms?|relationships?|"
                r"(?:main )?pairings?|(?:additional |freeform )?tags|stats|(?:story |chapter )?summary|genres?|beta(?:s|(?:ed|'d)? by|"
                r" readers?)?|disclaimers?|gift for|spoilers?|collections?|(?:main )?characters|dedicat(?:ed to|ion)|series|language|"
                r"published|original(?:ly)? (?:work|posted)) ?(?::|-{1,2} |– |— )",
                r"^\W{0,4}(?:standard|usual|all|the usual) disclaimers?\b|^\W{0,4}(?:a ?/ ?n|notes?) (?:is )?at the (?:bottom|end)\b|^\W{0,4}(?:about the author|author'?s? bio)\b|^archive of our own\b|^dedicated to @|^posted (?:originally )?on the archive of our own",
                r"\b(?:i|we) (?:do not|don't|dont|sadly don't) own\b[^.!?]{0,60}(?:harry|potter|twilight|naruto|anything|any of|characters?|recogni[sz]e|rights|$)",
                r"^\W{0,4}i (?:own nothing|don't own)\b",
            ),
            sign(
                LIKELY,
                "author|title|words|chapters|status|setting|timeline|note|by ",
                r"^\W{0,4}by [^\s.!?]{3,30}\W{0,4}$",
                LEAD + r"(?:author|title|penname|words|chapters|status|setting|timeline|written by) ?: ?\S",
            ),
        ),
        examples=("Rating: Teen And Up Audiences", "Disclaimer: I don't own Harry Potter."),
    ),
    Rule(
        "section_label",
        "A line that only labels a part of the page: `Notes:`, `Chapter Summary`, `End Notes`, `A note from ...`.",
        SITES,
        (
            sign(
                CERTAIN,
                "note|summar|thoughts|afterword|announcement|foreword|works inspired|responses|actions|bio|might also|related|discussion|warning",
                r"^\W{0,4}(?:(?:beginning |end |ending |chapter |story |work |author(?:'?s|s')? ){0,2}notes?(?: for (?:the|this) chapter)?|"
                r"(?:chapter |story )?summary|afterword|announcements?|works inspired by this one|you might also like|related (?:posts|stories)|(?:review|reviewer) responses|discussion questions|questions for discussion|author(?:'s|s')? thoughts|(?:content |trigger )?warnings?|actions|bio)\W{0,4}$",
                r"^\W{0,4}a note from \S[^.!?]{0,40}$",
            ),
            sign(STRONG, "next time", r"^\W{0,4}next time ?:"),
        ),
        examples=("Chapter End Notes", "A note from Quillbright"),
    ),
    Rule(
        "page_button",
        "The label of a link or button, alone in its paragraph: `Kudos`, `Vote`, `Share`, `Next Chapter`, `Unsubscribe`.",
        SITES,
        (
            sign(
                CERTAIN,
                "kudo|work text|font|contents|reading|bookmark|comment|vote|share|repl|remove|donate|advert|achievement|twitter|facebook|pinterest|tumblr|print|email|related|chapter|index|unsubscribe|preferences|browser|download|follow|favorite|subscribe|like|home|permalink|post",
                r"^\W{0,4}(?:(?:(?:chapter|work) text|kudos|bookmark(?:s|ed)?|comments?|vote[sd]?|share|repl(?:y|ies)|remove|donate|advertisements?|achievements|"
                r"twitter|facebook|pinterest|tumblr|reddit|print|e-?mail|related|(?:previous|next|first|last) chapter|(?:older|newer|previous|next|recent) posts?|fiction index|"
                r"chapter index|unsubscribe|update preferences|view (?:this email |it )?in (?:your|a) browser|download|follow(?:ers)?|"
                r"favou?rites?|subscribe|likes?|like this[:?]?|share (?:it|this)|like loading|leave a comment|permalink|font settings|table of contents|continue reading(?: next part)?|&)(?: ?\(?\d{1,6}\)?)?[\s|·,•.:/&…!\[\]-]{0,5}){1,6}$",
            ),
            sign(CERTAIN, "see the end", r"^\W{0,4}see the end of the (?:work|chapter) for\b"),
            sign(
                CERTAIN,
                "0|1|2|3|4|5|6|7|8|9",
                r"^(?:[\d.,]{1,7}[km]? (?:reads|views|votes|parts?(?: story)?|followers|hits|comments)\W{0,5}){1,4}$|^[\d.,]{1,6}[km](?:\W{1,3}[\d.,]{1,6}[km]?){1,3}$",
            ),
            sign(LIKELY, "support|previous|next", r"^\W{0,4}support \W|^(?:previous|next)$"),
        ),
        examples=("Kudos", "Unsubscribe | Update preferences"),
    ),
    Rule(
        "reader_call",
        "A call to readers to review, vote, read ahead or forward the newsletter.",
        SITES,
        (
            sign(
                CERTAIN,
                "unedited|un-edited|r&r|review|vote|patreon|patrons|read ahead|advance chapter|chapters ahead|rising stars|newsletter|subscriber|forward|mailing|inbox|kudos|favorit|e-mail|email",
                r"\br ?& ?r\b|\b(?:please|pls|plz|leave (?:me )?an?)\b[^.!?]{0,24} review|reviews? (?:are|make|is|help)\b|\bvot(?:e|ing) (?:and|&|\+|if|or) ",
                r"\b(?:read|chapters?) (?:ahead|early)\b[^.!?]{0,60}\bpatreon|patrons are now|\badvance[d]? chapters\b|\brising stars\b",
                r"\bforward(?:ed)? (?:it|this)\b[^.!?]{0,40}|\b(?:free|paid|new) subscribers?\b|\byou are receiving this\b|your email address will not be",
                r"^\W{0,4}un-?edited\W{0,6}$",
                r"don't forget to (?:vote|comment|follow|review|add this)|\bhit that (?:star|vote|like)|\bkudos (?:and|&) comments\b|comments (?:and|&|are) (?:kudos|love)",
            ),
            sign(
                CERTAIN,
                "translator|editor|errors",
                r"^\W{0,4}(?:translator|translation|editor|proofreader)s? ?: ?\S.{0,80}$|\bif you find any errors\b.{0,120}\blet us know\b",
            ),
            sign(
                LIKELY,
                "everyone|guys|all|loves|lovelies|no hate|update|guest|did any|see that coming|chapter|you've read",
                r"\bdid any(?:one|body) (?:see|guess|expect|catch) (?:that|this|it)\b[^.!]{0,20}\?|\bsee that coming\?",
                r"^\W{0,4}(?:hey+|hi+|hello+|heya)\W{1,3}(?:everyone|everybody|guys|y'all|you all|my loves|lovelies)\b",
                r"^\W{0,4}guest(?: reviewer)?(?: ?\(?\d\)?)? ?:",
                r"\b(?:double|bonus|extra) chapter\b|\bmake sure (?:that )?you(?:'ve| have) read\b",
                r"\bno hate\b|\bupdates? (?:every|on) \w{2,9}days?\b",
            ),
            sign(
                STRONG,
                "check|on with|on to the|picture|photo|song|music|video|cast|week's|month's|click|qot|aot|unedited|update|subscribe|reads|chapter|review|poll|shout|story|share|beta|kudos|cover",
                r"^\W{0,4}[qa]ot[cd]\b|^\W{0,4}un-?edited\b|\bunbeta'?e?'?d\b|^\W{0,4}(?:next )?updates? ?(?::|on |is |will |every )|\b\d[\d.,]{0,6}k? (?:reads|views|reviews|votes|kudos)\b",
                r"\bnext (?:chapter|update|one) (?:will be (?:up|out|posted|longer)|is (?:up|out|longer|on)|on (?:mon|tues|wednes|thurs|fri|satur|sun)day)",
                r"^\W{0,4}shout-?outs?(?: to| time)? ?[:!]|\bcheck (?:it|him|her|them) out (?:here|below)\b|\bon (?:with|to) the (?:show|story|chapter|fic)\b|^\W{0,4}(?:right\W{1,3})?on with it\W{0,4}$",
                r"\b(?:picture|photo|song|music|video)s?(?: of| for| by)? [^.!?]{0,60}(?:at the top|above|in the media|up top)\b|\bwho would you cast\b|\b(?:this|last) (?:week|month)'s (?:\w+ ){0,3}(?:story|prompt|issue)\b",
                r"\bclick (?:here|(?:on )?the [^.!?]{1,30}) (?:to|for) (?:read|see|more)\b|\b(?:support my (?:writing|work)|share it with a friend|you might also like|about the author|author'?s bio|first appeared in|entry was posted|filed under|bookmark the)\b",
            ),
        ),
        examples=("R&R please!", "Don't forget to vote and comment!"),
    ),
    Rule(
        "theft_notice",
        "A notice that the text was copied from another site, which Royal Road puts between paragraphs.",
        ("web", "royalroad"),
        (
            sign(
                CERTAIN,
                "amazon|site|platform|royal road|elsewhere|version|source",
                r"^(?=.{30,250}$)(?=.*\b(?:author|story|tale|narrative|novel|content|text|book|writer|creator)(?:s|'s)?\b)"
                r"(?=.*\b(?:amazon|royal road|(?:original|official|different|another) (?:web)?(?:site|platform|source|version)|(?:original|preferred) platform|elsewhere)\b)"
                r"(?=.*\b(?:stolen|unlawful\w*|illicit\w*|unauthori[sz]ed|without (?:\S+ ){0,3}(?:consent|permission|authori[sz]ation|approval)|pilfered|purloined|misappropriated|theft|support|report|genuine|official|published)\b)",
            ),
        ),
        examples=("This tale has been unlawfully lifted from Royal Road; report any sightings on Amazon.",),
    ),
    Rule(
        "byline",
        "What stands before the story: its author, its date, a prize that it won, a greeting to readers.",
        ("web",),
        (
            sign(
                STRONG,
                "by |20|19|issue|posted|home|reader|subscriber|friends|winner|runner|finalist|listed|place|prize|here's|here is|from ",
                r"\bhere(?:'s| is) (?:your|this|the|a|another|my) (?:[\w']+ ){0,3}(?:story|tale|fiction)\b|^\W{0,3}(?:good (?:morning|afternoon|evening)|hello|hi|greetings)(?: again)?,? from (?:the|a|my|our|\w+) ?\w*\W{0,3}$",
                r"^\W{0,3}by \S{2,30} (?:»|on) \w{3} \w{3} \d",
                r"^\W{0,3}by [a-z][a-z.'-]{1,20}(?: [a-z][a-z.'-]{0,20}){1,3}\W{0,3}$",
                r"^\W{0,3}(?:(?:january|february|march|april|may|june|july|august|september|october|november|december) \d{1,2},? (?:19|20)\d\d|\d{1,2} [a-z]{3,9} (?:19|20)\d\d)\W{0,3}$",
                r"^\W{0,3}(?:hello|hi|hey|dear|welcome,?)(?: (?:again|back|my|all|lovely|beloved|fellow|new|old|and))* (?:readers?|subscribers?|friends)\b",
                r"^\W{0,3}(?:winner|runner-up|finalist|(?:short|long)listed|(?:first|second|third) (?:place|prize))\b[^.!?]{0,60}\b(?:contest|competition|prize|award)\b",
                r"^\W{0,3}issue (?:no\.? ?)?#?\d{1,4}\W{0,3}$|^\W{0,3}home ?[>»/|]",
            ),
        ),
        where="head",
        examples=("By Anselm Roth",),
    ),
)
