//! Templates that are made to use up time, memory or the stack: each is refused with one error, in bounded time.

use std::time::{Duration, Instant};

use runtime_chat::{Chat, ChatTemplate, Error};
use serde_json::{Map, Value, json};

fn render(source: &str) -> Result<String, Error> {
    let messages = [json!({"role": "user", "content": "Hi"})];
    let template = ChatTemplate::new("the template", source, Map::<String, Value>::new());
    template.render(&Chat { messages: &messages, ..Chat::default() })
}

/// A loop around it, of more turns than any rendering has steps.
fn forever(body: &str) -> String {
    let turns = "{% for a in range(99999) %}{% for b in range(99999) %}";
    format!(
        "{{% set ns = namespace(s='xy', l=[1], r=range(99999)|list, d={{}}) %}}{turns}{body}{{% endfor %}}{{% endfor %}}"
    )
}

const BODIES: [&str; 26] = [
    // Steps.
    "",
    "{{ a }}",
    "{% if a == b %}x{% endif %}",
    "{{ 'some text that is long enough to be more than the limit of a prompt soon' }}",
    // Values that double.
    "{% set ns.s = ns.s ~ ns.s %}",
    "{% set ns.s = ns.s + ns.s %}",
    "{% set ns.s = ns.s * 2 %}",
    "{% set ns.s = ns.s|replace('x', 'xx') %}",
    "{% set ns.s = ns.s.replace('', ns.s) %}",
    "{% set ns.s = [ns.s, ns.s]|join(ns.s) %}",
    "{% set ns.s = '%s%s' % (ns.s, ns.s) %}",
    "{% set ns.s = '{}{}'.format(ns.s, ns.s) %}",
    "{% set ns.s = ns.s|tojson %}",
    "{% set x %}{{ ns.s }}{{ ns.s }}{% endset %}{% set ns.s = x %}",
    "{% set ns.l = ns.l + ns.l %}",
    "{% set ns.l = ns.l * 3 %}",
    // Values in values.
    "{% set ns.l = [ns.l] %}",
    "{% set ns.l = [ns.l, ns.l] %}",
    "{% set ns.d = {'a': ns.d, 'b': ns.d} %}",
    "{% set ns.d = dict(a=ns.d) %}",
    "{% set ns.l = ns.l|batch(1)|list %}",
    // Work of single steps.
    "{% set x = ns.r|sort|list|length %}",
    "{% set x = ns.r == ns.r|list %}",
    "{% set x = -1 in ns.r %}",
    "{% set x = ns.r|map('string')|join|length %}",
    "{% set x = (ns.r|join)[99999] %}",
];

#[test]
fn endless_templates_end_with_one_error() {
    for body in BODIES {
        let begun = Instant::now();
        let error = render(&forever(body)).expect_err(body);
        let took = begun.elapsed();
        assert!(took < Duration::from_secs(20), "{body:?} took {took:?}");
        assert!(matches!(error, Error::Template { line: 1, .. } | Error::TooLong { .. }), "{body:?}: {error:?}");
    }
}

const SINGLE: [&str; 15] = [
    "{{ range(1000000000)|list }}",
    "{{ 'x' * 10000000000 }}",
    "{{ [1] * 10000000000 }}",
    "{{ 'x'.center(10000000000) }}",
    "{{ 'x'|center(10000000000) }}",
    "{{ '%1000000000d' % 1 }}",
    "{{ '{:1000000000}'.format(1) }}",
    "{{ 'x'|indent(10000000000, true) }}",
    "{{ [[1]]|tojson(indent=1000000000) }}",
    "{{ [1]|slice(1000000000)|list }}",
    "{{ 2 ** 1000000000 }}",
    "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    "{% for x in [[1]] recursive %}{{ loop([[1]]) }}{% endfor %}",
    "{% macro f(x) %}{{ g([x]) }}{% endmacro %}{% macro g(x) %}{{ f([x]) }}{% endmacro %}{{ f(1) }}",
    "{% set ns = namespace() %}{% set ns.a = ns %}{{ ns }}",
];

#[test]
fn a_format_fills_up_no_place_without_end() {
    for format in ["{:>3000000000}", "{:3000000000}", "{0:.3000000000f}", "{:x<0900000}"] {
        let source = format!("{{{{ '{format}'.format(1.5) }}}}");
        assert!(matches!(render(&source), Err(Error::Template { line: 1, .. })), "{source}");
    }
    assert_eq!(render("{{ '20261121: {:>5}'.format('a') }}").expect("it is narrow"), "20261121:     a");
}

#[test]
fn huge_values_and_deep_recursion_are_refused() {
    for source in SINGLE {
        let error = render(source).expect_err(source);
        assert!(matches!(error, Error::Template { line: 1, .. }), "{source:?}: {error:?}");
    }
}

#[test]
fn deeply_nested_sources_are_refused() {
    let repeated = |open: &str, inside: &str, close: &str| open.repeat(100_000) + inside + &close.repeat(100_000);
    let sources = [
        format!("{{{{ {} }}}}", repeated("(", "1", ")")),
        format!("{{{{ {} }}}}", repeated("[", "1", "]")),
        format!("{{{{ {} }}}}", repeated("{1:", "1", "}")),
        format!("{{{{ {} }}}}", repeated("-", "1", "")),
        format!("{{{{ {} }}}}", repeated("not ", "1", "")),
        format!("{{{{ {} }}}}", repeated("f(", "1", ")")),
        format!("{{{{ {} }}}}", repeated("1 if 1 else ", "1", "")),
        repeated("{% if 1 %}", "1", "{% endif %}"),
        repeated("{% for x in [1] %}", "1", "{% endfor %}"),
    ];
    for source in sources {
        match render(&source) {
            Ok(text) => assert_eq!(text, "1"),
            Err(error) => assert!(matches!(error, Error::Template { .. }), "{error:?}"),
        }
    }
    // Long and not deep.
    let sum = vec!["1"; 200].join(" + ");
    assert_eq!(render(&format!("{{{{ {sum} }}}}")).expect("a sum"), "200");
}

/// minijinja panics at the end of a loop that is left from within a block; the error is at the tag.
#[test]
fn loops_left_from_within_a_block_are_refused() {
    for tag in ["break", "continue"] {
        for (open, close) in [
            ("with", "endwith"),
            ("with a = 1", "endwith"),
            ("generation", "endgeneration"),
            ("set x", "endset"),
            ("set x | upper", "endset"),
            ("filter upper", "endfilter"),
            ("autoescape false", "endautoescape"),
        ] {
            let body = format!("{{% {open} %}}\n{{% if 1 %}}{{% {tag} %}}{{% endif %}}{{% {close} %}}");
            let error = render(&format!("{{% for x in [1, 2] %}}{body}{{% endfor %}}")).expect_err(open);
            assert!(matches!(error, Error::Template { line: 2, .. }), "{body:?}: {error:?}");
            // A loop within the block may be left, and so may the loop around it when the block is over.
            let within = format!("{{% {open} %}}{{% for x in [1, 2] %}}{{% {tag} %}}{{% endfor %}}{{% {close} %}}");
            assert_eq!(render(&within).expect("a loop within a block"), "", "{within:?}");
            let behind = format!("{{% for x in [1, 2] %}}{{% {open} %}}{{% {close} %}}{{% {tag} %}}a{{% endfor %}}");
            assert_eq!(render(&behind).expect("a block in a loop"), "", "{behind:?}");
        }
    }
}

#[test]
fn an_error_names_its_line() {
    let cases = [
        ("a\n{{ 'x' + 1 }}", 2),
        ("a\n\n{% for m in messages %}\n{{ m.content }}\n{{ m.nothing.more }}\n{% endfor %}", 5),
        ("{{\n messages[0]\n .content\n .missing() }}", 2),
        ("{% macro f(x) %}\n{{ x.y.z }}\n{% endmacro %}\n{{ f(1) }}", 2),
        ("{# a\nb #}{% if 1 %}\n{{ 'a\nb' ~ ['c',\n'd'][1:] ~\n(1 / 0) }}{% endif %}", 6),
        ("a\n{% if %}", 2),
        ("a\nb\n{% endfor %}", 3),
        ("a\nb\n{{ 1 +\n}}", 4),
    ];
    for (source, expected) in cases {
        let error = render(source).expect_err(source);
        assert!(matches!(error, Error::Template { line, .. } if line == expected), "{source:?}: {error:?}");
    }
    let error = render("\n\n{{ raise_exception('no') }}").expect_err("it is raised");
    assert!(matches!(&error, Error::Refused { line: 3, message, .. } if message == "no"), "{error:?}");
}
