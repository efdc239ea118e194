//! What is asked.

use serde_json::{Map, Value, json};

/// A conversation that is to be answered, and how. What is `None` is up to the endpoint.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ChatRequest {
    /// Messages as the interface has them: `{"role": ..., "content": ...}`.
    pub messages: Vec<Value>,
    /// 0 chooses the likeliest token each time.
    pub temperature: Option<f64>,
    /// Probability that is kept, the likeliest tokens first.
    pub top_p: Option<f64>,
    /// Tokens of the answer, at most.
    pub max_tokens: Option<usize>,
    /// What draws follow from, as far as the endpoint can.
    pub seed: Option<u64>,
    /// Texts with which the answer ends.
    pub stop: Vec<String>,
    /// The schema of the answer, which is JSON then.
    pub json_schema: Option<Value>,
    /// Likeliest tokens that are told beside each token; `None` tells none at all.
    pub logprobs: Option<usize>,
    /// Other fields of the request, which go before those above.
    pub extra: Map<String, Value>,
}

impl ChatRequest {
    /// A system message, if there is one, and a user's.
    pub fn of(system: Option<&str>, user: &str) -> Self {
        let system = system.map(|text| json!({"role": "system", "content": text}));
        let messages = system.into_iter().chain([json!({"role": "user", "content": user})]).collect();
        Self { messages, ..Self::default() }
    }

    /// The body of the request. OpenAI's newer models know the limit under another name than all others.
    pub(crate) fn body(&self, model: &str, is_openai: bool) -> Value {
        let mut body = Map::new();
        let mut put = |key: &str, value: Option<Value>| {
            if let Some(value) = value {
                body.insert(key.to_owned(), value);
            }
        };
        put("model", Some(model.into()));
        put("messages", Some(Value::Array(self.messages.clone())));
        put("temperature", self.temperature.map(Value::from));
        put("top_p", self.top_p.map(Value::from));
        let limit = if is_openai { "max_completion_tokens" } else { "max_tokens" };
        put(limit, self.max_tokens.map(Value::from));
        put("seed", self.seed.map(Value::from));
        put("stop", (!self.stop.is_empty()).then(|| self.stop.as_slice().into()));
        let schema = |schema: &Value| {
            let named = json!({"name": "answer", "strict": true, "schema": schema});
            json!({"type": "json_schema", "json_schema": named})
        };
        put("response_format", self.json_schema.as_ref().map(schema));
        put("logprobs", self.logprobs.map(|_| true.into()));
        put("top_logprobs", self.logprobs.filter(|count| *count > 0).map(Value::from));
        body.extend(self.extra.clone());
        Value::Object(body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_given_is_sent() {
        let request = ChatRequest::of(Some("Be brief."), "Hi");
        let messages = json!([{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]);
        assert_eq!(request.body("m", false), json!({"model": "m", "messages": messages}));
    }

    #[test]
    fn each_parameter_has_its_field() {
        let request = ChatRequest {
            temperature: Some(0.0),
            top_p: Some(0.5),
            max_tokens: Some(9),
            seed: Some(7),
            stop: vec!["\n".to_owned()],
            json_schema: Some(json!({"type": "integer"})),
            logprobs: Some(3),
            extra: Map::from_iter([("seed".to_owned(), json!(8)), ("user".to_owned(), json!("u"))]),
            ..ChatRequest::of(None, "Hi")
        };
        let expected = json!({
            "model": "m", "messages": [{"role": "user", "content": "Hi"}], "temperature": 0.0, "top_p": 0.5, "max_tokens": 9,
            "seed": 8, "stop": ["\n"], "logprobs": true, "top_logprobs": 3, "user": "u",
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "answer", "strict": true, "schema": {"type": "integer"}},
            },
        });
        assert_eq!(request.body("m", false), expected);
        assert_eq!(request.body("m", true)["max_completion_tokens"], 9);
    }
}
