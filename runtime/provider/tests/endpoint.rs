//! A client beside a server on this machine that answers well, late, wrongly, or not at all.

mod server;

use std::time::{Duration, Instant};

use futures::executor::block_on;
use futures::future::{Either, join_all, select};
use runtime_diagnostics::Explain;
use runtime_provider::{ChatClient, ChatRequest, Endpoint, Error, Finish, TokenLogProb, Usage};
use serde_json::json;
use server::{Answer, Server};

/// The variable that holds a key in these tests: one that cargo sets, so that none has to be changed.
const KEY: &str = "CARGO_PKG_NAME";

/// What is in it.
const HELD: &str = "runtime-provider";

fn endpoint(server: &Server) -> Endpoint {
    Endpoint {
        timeout: Duration::from_millis(800),
        pause: Duration::from_millis(10),
        ..Endpoint::new(server.base_url(), "some-model")
    }
}

fn client(server: &Server) -> ChatClient {
    ChatClient::new(endpoint(server)).expect("it is an endpoint")
}

fn ask(server: &Server) -> Result<runtime_provider::ChatReply, Error> {
    client(server).chat(&ChatRequest::of(None, "Hi"))
}

/// What is said of an error: its message, its causes and its hint.
fn told(error: &Error) -> String {
    let source = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
    format!("{error} | {source} | {}", error.hint().unwrap_or_default())
}

#[test]
fn an_answer_is_read_whole() {
    let server = Server::start(vec![Answer::json(&json!({
        "choices": [{
            "message": {"role": "assistant", "content": "Grüße"},
            "finish_reason": "length",
            "logprobs": {"content": [
                {"token": "Gr", "logprob": -0.5, "top_logprobs": [{"token": "Gr", "logprob": -0.5}, {"token": "H", "logprob": -1}]},
                {"token": "üße", "logprob": -0.25, "top_logprobs": []},
            ]},
        }],
        "usage": {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9},
    }))]);
    let endpoint = Endpoint { api_key_env: Some(KEY.to_owned()), ..endpoint(&server) };
    let client = ChatClient::new(endpoint).expect("it is an endpoint");
    let request = ChatRequest { temperature: Some(0.0), ..ChatRequest::of(Some("Be brief."), "Hi") };
    let reply = client.chat(&request).expect("it answers");
    assert_eq!((reply.text.as_str(), reply.finish, reply.attempts), ("Grüße", Finish::Length, 1));
    assert_eq!(reply.usage, Some(Usage { prompt_tokens: 7, completion_tokens: 2 }));
    let top = vec![("Gr".to_owned(), -0.5), ("H".to_owned(), -1.0)];
    let first = TokenLogProb { token: "Gr".to_owned(), logprob: -0.5, top };
    let second = TokenLogProb { token: "üße".to_owned(), logprob: -0.25, top: Vec::new() };
    assert_eq!(reply.logprobs, Some(vec![first, second]));

    let [asked] = &server.requests()[..] else { panic!("one request is made") };
    assert_eq!(asked.line, "POST /v1/chat/completions HTTP/1.1");
    assert_eq!(asked.header("authorization"), Some(format!("Bearer {HELD}").as_str()));
    assert_eq!(asked.header("content-type"), Some("application/json"));
    let messages = json!([{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]);
    assert_eq!(asked.body(), json!({"model": "some-model", "messages": messages, "temperature": 0.0}));
}

#[test]
fn what_is_passing_is_tried_again() {
    let failing = [
        Answer::status(503, ""),
        Answer::status(429, r#"{"error": {"message": "slow down"}}"#),
        Answer::Cut,
        Answer::CutBody,
    ];
    for failure in failing {
        let server = Server::start(vec![failure.clone(), failure.clone(), Answer::text("at last")]);
        let reply = ask(&server).expect("the third answer is one");
        assert_eq!((reply.text.as_str(), reply.attempts), ("at last", 3), "{failure:?}");
        assert_eq!(server.requests().len(), 3);
    }
}

#[test]
fn what_does_not_pass_is_told_after_the_last_attempt() {
    let server = Server::start(vec![Answer::status(503, r#"{"error": "over\n\nloaded"}"#)]);
    let error = ask(&server).expect_err("it never answers");
    let expected = format!("`{}` answers with status 503, tried 3 times: over loaded", server.base_url());
    assert_eq!((error.to_string(), server.requests().len()), (expected, 3));

    let server = Server::start(vec![Answer::Cut]);
    let error = ask(&server).expect_err("it never answers");
    assert_eq!(error.to_string(), format!("cannot reach `{}`, tried 3 times", server.base_url()));

    let error = ChatClient::new(Endpoint { pause: Duration::ZERO, ..Endpoint::new("http://127.0.0.1:1/v1", "m") })
        .and_then(|client| client.chat(&ChatRequest::of(None, "Hi")))
        .expect_err("nobody listens");
    assert_eq!(error.to_string(), "cannot reach `http://127.0.0.1:1/v1`, tried 3 times");
}

#[test]
fn what_is_wrong_with_the_request_is_not_tried_again() {
    let server = Server::start(vec![Answer::status(400, r#"{"error": {"message": "no such parameter"}}"#)]);
    let error = ask(&server).expect_err("it is refused");
    assert_eq!(error.to_string(), format!("`{}` answers with status 400: no such parameter", server.base_url()));
    assert_eq!(server.requests().len(), 1);
    let server = Server::start(vec![Answer::status(404, "no such page")]);
    let error = ask(&server).expect_err("it is not there");
    assert_eq!(error.hint().as_deref(), Some("check `base_url` and the model's name"));
}

#[test]
fn an_endpoint_says_how_long_to_wait() {
    let slow = Answer::Whole { status: 429, headers: "Retry-After: 0.3\r\n".to_owned(), body: Vec::new() };
    let server = Server::start(vec![slow, Answer::text("now")]);
    let begin = Instant::now();
    assert_eq!(ask(&server).expect("it answers").attempts, 2);
    assert!(begin.elapsed() >= Duration::from_millis(300), "{:?}", begin.elapsed());

    let slower = Answer::Whole { status: 429, headers: "Retry-After: 3600\r\n".to_owned(), body: Vec::new() };
    let server = Server::start(vec![slower]);
    let begin = Instant::now();
    let error = ask(&server).expect_err("nobody waits that long");
    assert_eq!((error.hint().as_deref(), server.requests().len()), (Some("it asks to wait for 3600 s"), 1));
    assert!(begin.elapsed() < Duration::from_secs(1));
}

#[test]
fn an_endpoint_that_hangs_is_given_up_at_the_limit() {
    // It accepts and says nothing; it begins to answer and stops; it sends a byte now and then.
    for hanging in [Answer::Silent, Answer::Stalled, Answer::Dripping] {
        let server = Server::start(vec![hanging.clone()]);
        let begin = Instant::now();
        let error = ask(&server).expect_err("it never answers");
        let expected = format!("`{}` did not answer within 0.8 s", server.base_url());
        assert_eq!(error.to_string(), expected, "{hanging:?}");
        assert!(begin.elapsed() < Duration::from_millis(1600), "{hanging:?}: {:?}", begin.elapsed());
        assert_eq!(server.requests().len(), 1, "{hanging:?} is asked once");
    }
}

#[test]
fn an_endpoint_may_be_slow_within_the_limit() {
    let server = Server::start(vec![Answer::Late(Duration::from_millis(400), Box::new(Answer::text("late")))]);
    assert_eq!(ask(&server).expect("it answers").text, "late");
}

#[test]
fn an_answer_that_is_none_is_told() {
    let cases = [
        ("<html>", "it is no JSON: expected value at line 1 column 1"),
        ("{}", "it has no `choices`"),
        (r#"{"choices": []}"#, "it has no `choices`"),
        (r#"{"choices": [{}]}"#, "its choice has no `message`"),
        (r#"{"choices": [{"message": {"content": null}}]}"#, "its message has no `content`"),
        (
            r#"{"choices": [{"message": {"content": "a"}, "logprobs": {"content": [{"token": 1}]}}]}"#,
            "its `logprobs` are none",
        ),
    ];
    for (body, reason) in cases {
        let server = Server::start(vec![Answer::status(200, body)]);
        let error = ask(&server).expect_err("it is none");
        assert_eq!(error.to_string(), format!("the answer of `{}` is no chat completion: {reason}", server.base_url()));
        assert_eq!(server.requests().len(), 1);
    }
    let refusal = json!({"choices": [{"message": {"content": null, "refusal": "I will not."}}]});
    let error = ask(&Server::start(vec![Answer::json(&refusal)])).expect_err("it refuses");
    assert_eq!(error.to_string(), "the model refuses to answer: I will not.");
}

#[test]
fn an_endless_answer_is_cut_off() {
    let server = Server::start(vec![Answer::Endless { status: 200 }]);
    let patient = Endpoint { timeout: Duration::from_secs(20), ..endpoint(&server) };
    let error = ChatClient::new(patient).and_then(|client| client.chat(&ChatRequest::of(None, "Hi")));
    let error = error.expect_err("it is too long");
    assert_eq!(error.to_string(), format!("`{}` answers with more than 16777216 bytes", server.base_url()));
    // The message of a failure is only looked at.
    let server = Server::start(vec![Answer::Endless { status: 400 }]);
    let error = ask(&server).expect_err("it fails").to_string();
    assert!(error.starts_with(&format!("`{}` answers with status 400", server.base_url())), "{error}");
    assert!(error.len() < 500, "{error}");
}

#[test]
fn nothing_is_followed_elsewhere() {
    let other = Server::start(vec![Answer::text("elsewhere")]);
    let headers = format!("Location: {}/chat/completions\r\n", other.base_url());
    for status in [301, 307] {
        let server = Server::start(vec![Answer::Whole { status, headers: headers.clone(), body: Vec::new() }]);
        let error = ask(&server).expect_err("it is not followed").to_string();
        assert_eq!(error, format!("`{}` answers with status {status}", server.base_url()));
    }
    assert!(other.requests().is_empty());
}

#[test]
fn who_is_not_let_in_is_told_which_key_is_meant() {
    let denial = || vec![Answer::status(401, &format!(r#"{{"error": {{"message": "wrong key {HELD}"}}}}"#))];
    let with = |variable: Option<&str>| {
        let server = Server::start(denial());
        let endpoint = Endpoint { api_key_env: variable.map(str::to_owned), ..endpoint(&server) };
        let client = ChatClient::new(endpoint).expect("it is an endpoint");
        let error = client.chat(&ChatRequest::of(None, "Hi")).expect_err("it is denied");
        assert_eq!(server.requests().len(), 1);
        (told(&error), format!("{client:?} {error:?}"), server.requests()[0].header("authorization").map(str::to_owned))
    };
    let (empty, _, sent) = with(Some("RUNTIME_TEST_NO_SUCH_KEY"));
    assert!(empty.contains("`RUNTIME_TEST_NO_SUCH_KEY`, which the key is taken from, is empty"), "{empty}");
    assert_eq!(sent, None);
    let (none, _, _) = with(None);
    assert!(none.contains("no key is sent: name the environment variable that holds it"), "{none}");
    let (wrong, debug, sent) = with(Some(KEY));
    assert!(wrong.contains("(status 401): wrong key ***") && wrong.contains(&format!("`{KEY}`")), "{wrong}");
    assert_eq!(sent, Some(format!("Bearer {HELD}")));
    assert!(!wrong.contains(HELD) && !debug.contains(HELD), "{wrong} {debug}");
}

#[test]
fn a_key_does_not_leave_this_machine_unencrypted() {
    let plain = Endpoint { api_key_env: Some(KEY.to_owned()), ..Endpoint::new("http://192.0.2.1/v1", "m") };
    let error = ChatClient::new(plain.clone()).expect_err("it is refused");
    assert_eq!(error.to_string(), format!("the key in `{KEY}` would be sent to `192.0.2.1` unencrypted"));
    ChatClient::new(Endpoint { allow_plain_http: true, ..plain.clone() }).expect("it is allowed");
    ChatClient::new(Endpoint { api_key_env: None, ..plain }).expect("there is no key");
}

#[test]
fn many_ask_at_once_and_some_leave() {
    let late = Answer::Late(Duration::from_millis(100), Box::new(Answer::text("here")));
    let server = Server::start(vec![late]);
    let client = ChatClient::new(Endpoint { concurrency: 4, ..endpoint(&server) }).expect("it is an endpoint");
    let replies = block_on(join_all((0..12).map(|_| client.ask(ChatRequest::of(None, "Hi")))));
    assert!(replies.iter().all(|reply| reply.as_ref().is_ok_and(|reply| reply.text == "here")), "{replies:?}");
    assert_eq!((server.requests().len(), server.most_at_once()), (12, 4));

    // Who leaves between two attempts is not asked for again.
    let server = Server::start(vec![Answer::status(503, "")]);
    let patient = Endpoint { pause: Duration::from_millis(200), retries: 10, ..endpoint(&server) };
    let client = ChatClient::new(patient).expect("it is an endpoint");
    let asking = Box::pin(client.ask(ChatRequest::of(None, "Hi")));
    let seen = Box::pin(async {
        while server.requests().is_empty() {
            std::thread::yield_now();
        }
    });
    match block_on(select(asking, seen)) {
        Either::Left((reply, _)) => panic!("it has no answer, but {reply:?}"),
        Either::Right(((), asking)) => drop(asking),
    }
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(server.requests().len(), 1);
}
