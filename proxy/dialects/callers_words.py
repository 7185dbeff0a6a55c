"""What a caller calls that which OpenAI's chat, the dialect between, calls otherwise: for errors and named hints.

Places inside are left out, since the caller's list has others: `messages[2].content[0]` is somewhere in `input`.
"""

_CONFIG = "generationConfig."
WORDS: dict[str, dict[str, str]] = {
    "responses": {
        "messages": "input",
        **dict.fromkeys(("messages.reasoning_content", "reasoning_content"), "input.reasoning"),
        "messages.content.image_url.detail": "input.content.detail",
        "tools.function.strict": "tools.strict",
        "max_completion_tokens": "max_output_tokens",
        "response_format": "text.format",
        "reasoning_effort": "reasoning.effort",
        "logprobs": "top_logprobs",
        "verbosity": "text.verbosity",
    },
    "completions": {"messages": "prompt", "max_completion_tokens": "max_tokens", "top_logprobs": "logprobs"},
    "anthropic": {
        "max_completion_tokens": "max_tokens",
        "response_format": "output_config.format",
        "reasoning_effort": "thinking",
        "stop": "stop_sequences",
        "user": "metadata.user_id",
        "tools.function.strict": "tools.strict",
        "parallel_tool_calls": "tool_choice.disable_parallel_tool_use",
    },
    "gemini": {
        "messages": "contents",
        **dict.fromkeys(("messages.reasoning_content", "reasoning_content"), "contents.parts.thought"),
        **dict.fromkeys(("messages.thinking_blocks", "thinking_blocks"), "contents.parts.thoughtSignature"),
        **dict.fromkeys(("messages.extra_content", "extra_content"), "contents.parts.thoughtSignature"),
        "max_completion_tokens": f"{_CONFIG}maxOutputTokens",
        "response_format": f"{_CONFIG}responseMimeType",
        "reasoning_effort": f"{_CONFIG}thinkingConfig",
        "stop": f"{_CONFIG}stopSequences",
        "temperature": f"{_CONFIG}temperature",
        "top_p": f"{_CONFIG}topP",
        "n": f"{_CONFIG}candidateCount",
        "seed": f"{_CONFIG}seed",
        "presence_penalty": f"{_CONFIG}presencePenalty",
        "frequency_penalty": f"{_CONFIG}frequencyPenalty",
        "logprobs": f"{_CONFIG}responseLogprobs",
        "top_logprobs": f"{_CONFIG}logprobs",
        "tool_choice": "toolConfig",
        "web_search_options": "tools",
        "service_tier": "serviceTier",
    },
}


def said(name: str, dialect: str) -> str:
    """Return the caller's word for a parameter of OpenAI's chat; the same where it has no other."""
    words = WORDS.get(dialect)
    if words is None:
        return name
    first = name.partition(".")[0].partition("[")[0]
    return words.get(name) or words.get(first) or (first if "[" in name else name)
