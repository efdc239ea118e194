//! Chat completions of endpoints that speak as OpenAI does.
