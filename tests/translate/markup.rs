//! HTML into marks and marks into HTML, case by case.

use std::fmt::Write;

use drawbridge::{
    domain::OutgoingContent,
    translate::{Part, PartContent},
};

use super::world::{here, html, said, shown, there, visible};

/// The marks of an HTML message.
pub(crate) fn marks_of(source: &str) -> String {
    text_of(&there().parts(&html(source)).unwrap())
}

/// The text of a message that is nothing else.
pub(crate) fn text_of(parts: &[Part]) -> String {
    let texts = parts.iter().map(|part| match &part.content {
        PartContent::Ready(OutgoingContent::Text { body, .. }) => body.as_str(),
        other => panic!("a text was expected, not {other:?}"),
    });
    texts.collect()
}

/// The HTML of a text with marks, if anything in it is formatted.
pub(crate) fn html_of(marks: &str) -> Option<String> {
    let events = shown(&said(marks), &here());
    events[0]["formatted_body"].as_str().map(str::to_owned)
}

/// The cases of a table, each with what becomes of it.
fn table(cases: &[&str], becomes: impl Fn(&str) -> String) -> String {
    let mut table = String::new();
    for case in cases {
        writeln!(table, "{}\n=> {}\n", visible(case), visible(&becomes(case))).unwrap();
    }
    table
}

#[test]
fn html_to_marks() {
    let cases = [
        // Styles.
        "<b>bold</b> <strong>strong</strong> <i>i</i> <em>em</em> <s>s</s> <del>del</del> <strike>strike</strike> <u>u</u>",
        "<strong>all <em>of <del>them</del></em></strong> at once",
        "<strong><em>both</em></strong>",
        "<strong>one <em>two</em></strong><em> three</em> four",
        "<strong>a</strong><strong>b</strong> merged",
        "<strong>misnested <em>tags</strong> go</em> on",
        "<strong>never closed",
        // Where marks would not take effect.
        "mid<strong>wo</strong>rd",
        "<strong>st</strong>art",
        "(<strong>paren</strong>), <em>comma</em>.",
        "empty <strong></strong> and <em> </em> blank",
        "x<strong> around </strong>y",
        "<strong>two<br>lines</strong>",
        "<strong>before<p>paragraph</p>behind</strong>",
        // Text that looks like marks.
        "*not bold* _not italic_ ~not struck~ `not code`",
        "2*3*4 snake_case_name *footnote",
        "<strong>a * b *c* d*</strong>",
        "<strong>*</strong> <em>_x</em>",
        "- no item<br>1. no item<br>&gt; no quote<br>* no item<br>-5 degrees<br>2024. was",
        "```not code```",
        "<code>x</code>``` and `",
        // Code.
        "<code>let x = *y*;</code> and <code>a`b</code> and <code>`</code> and <code>a```b`</code>",
        "a<code>b</code>c and <code> blanks </code>",
        "<strong><code>bold code</code></strong>",
        "<pre><code class=\"language-rust\">fn main() {\n    *x* &lt;b&gt;\n}\n</code></pre>behind",
        "<pre><code>```\nfence\n```</code></pre>",
        "<pre>one line</pre>",
        "<blockquote><pre><code>in\na quote</code></pre></blockquote>",
        // Blocks.
        "<p>one</p><p>two</p>\n<p>three</p>",
        "<h1>Title</h1><p>text</p><h3>Sub <em>title</em></h3>text",
        "<ul><li>a</li><li>b<ul><li>c</li><li>d</li></ul></li><li>e<br>more e</li></ul>behind",
        "<ol><li>a</li><li>b<ol start=\"7\"><li>c</li></ol></li></ol>",
        "<ol start=\"99\"><li><p>loose</p></li><li><p>list</p></li></ol>",
        "<ul><li>unclosed<li>items</ul>",
        "<blockquote>quote<br>more<blockquote>deeper</blockquote></blockquote>answer",
        "<blockquote><ul><li>item</li></ul></blockquote>",
        "above<hr>below",
        "<table><thead><tr><th>A</th><th>B</th></tr></thead><tbody><tr><td>1</td><td>2</td></tr></tbody></table>",
        "<details><summary>More</summary>hidden<br>text</details>",
        // Links and pills.
        "<a href=\"https://example.org/\">words</a>",
        "<a href=\"https://example.org/_a_\">https://example.org/_a_</a> <a href=\"https://example.org\">example.org</a>",
        "<a href=\"mailto:a@example.org\">a@example.org</a> <a href=\"mailto:a@example.org\">write</a>",
        "<strong><a href=\"https://example.org/*\">bold link</a> more</strong>",
        "<a href=\"javascript:alert(1)\">bad</a> <a href=\"data:text/html,x\">data</a> <a>none</a> <a href=\"https://e.org\"></a>",
        "see https://example.org/_a_*b*?c=~d~ there",
        "<a href=\"https://matrix.to/#/@wa_4915555550002:example.org\">Bo</a>: hi",
        "<a href=\"https://matrix.to/#/%40wa_4915555550002%3Aexample.org\">Bo</a> and <a href=\"matrix:u/wa_4915555550002:example.org\">Bo</a>",
        "<a href=\"https://matrix.to/#/@dan:example.org\">Dan *D*</a> is no ghost",
        "<a href=\"https://matrix.to/#/#room:example.org\">#room:example.org</a>",
        // The rest.
        "<mx-reply><blockquote>stolen words</blockquote></mx-reply>answer",
        "<img data-mx-emoticon src=\"mxc://e.org/a\" alt=\":blobcat:\" height=\"32\"> <img src=\"mxc://e.org/b\" title=\"title\"> <img>",
        "<span data-mx-spoiler>secret</span> <span data-mx-spoiler=\"film\">he dies</span>",
        "<span data-mx-maths=\"x^2\"><code>x^2</code></span> <span data-mx-maths=\"y\"></span>",
        "<font color=\"red\">red</font> <span data-mx-bg-color=\"#f00\">on red</span> x<sup>2</sup> <blink>unknown</blink>",
        "<script>alert(1)</script><style>p{}</style>seen<!-- comment --><![CDATA[cdata]]>",
        "  white \n\n  space \t is <b> one </b>\n blank  ",
        "&lt;b&gt; &amp;amp; &nbsp;| &#42;x&#42; &#0; &#x1b;[1m",
        "שלום <b>עולם</b> 👩‍🚀 <i>é</i>",
        "",
        "<p></p>",
    ];
    insta::assert_snapshot!(table(&cases, marks_of));
}

#[test]
fn marks_to_html() {
    let cases = [
        "*bold* _italic_ ~struck~ `code` ```also code```",
        "*all _of ~them~_* _*both*_",
        "*a _b* c_",
        "**twice** __twice__ ~~twice~~",
        "mid*wo*rd snake_case_name 2*3*4",
        "* blank* *blank * ** *",
        "*unbalanced _and ~never closed",
        "*two\nlines*",
        "(*paren*), \"_quote_\"!",
        "*éclair* *名前* 名*前*",
        "- a\n- b\n  - c\n  more c\n- d\nbehind",
        "* star\n* star",
        "1. one\n2. two\n\n7. seven\n9. nine",
        "2024. no item",
        "> quote\n> more\n> > deeper\nanswer",
        ">\n>none",
        "> - item in a quote",
        "```\nblock *x*\n<b>\n```",
        "before ```one\ntwo``` behind",
        "```never closed",
        "`` `` ``` ``` `a`b` `",
        "<b>*<script>alert(1)</script>*</b> & \"quotes\" 'single'",
        "https://example.org/_a_ *https://example.org/b* www.e.org/*x*",
        "\u{200b}*neutral\u{200b}* \u{200b}- item\n\u{200b}- item\n\u{200b}1. item\nzero\u{200b}width",
        "plain",
        "",
    ];
    insta::assert_snapshot!(table(&cases, |case| {
        let event = shown(&said(case), &here());
        let body = event[0]["body"].as_str().unwrap().to_owned();
        let html = html_of(case).unwrap_or_else(|| "(nothing is formatted)".to_owned());
        if body == *case {
            html
        } else {
            format!("{html}\n   body: {body}")
        }
    }));
}

#[test]
fn deep_and_broad_documents_are_read_in_no_time() {
    let nested = |tag: &str, count: usize| {
        format!(
            "{}x{}",
            format!("<{tag}>").repeat(count),
            format!("</{tag}>").repeat(count)
        )
    };
    for tag in [
        "b",
        "div",
        "blockquote",
        "ul",
        "li",
        "table",
        "a",
        "mx-unknown",
        "p",
        "span",
    ] {
        assert!(marks_of(&nested(tag, 150)).contains('x'), "{tag}");
        assert!(marks_of(&nested(tag, 4_000)).contains('x'), "{tag}");
    }
    // What makes a browser's tree grow with the square of the document.
    let styles = (0..2_000).fold(String::new(), |all, n| all + &format!("<font c={n}>"));
    let hostile = format!("{styles}{}x", "<p>".repeat(8_000));
    assert_eq!(marks_of(&hostile), "x");
    let attributes = (0..8_000).fold(String::new(), |all, n| all + &format!(" a{n}"));
    assert_eq!(marks_of(&format!("<p{attributes}>x")), "x");
}
