"""Kinds of text files by name, for analyzers that read any language."""

PROSE = ("*.md", "*.markdown", "*.mdx", "*.rst", "*.adoc", "*.txt", "README", "CHANGELOG", "CONTRIBUTING")

SOURCE = (
    *("*.py", "*.pyi", "*.js", "*.mjs", "*.cjs", "*.jsx", "*.ts", "*.mts", "*.cts", "*.tsx", "*.vue", "*.svelte"),
    *("*.go", "*.rs", "*.java", "*.kt", "*.scala", "*.swift", "*.dart", "*.c", "*.h", "*.cc", "*.cpp", "*.hpp", "*.cs"),
    *("*.rb", "*.php", "*.pl", "*.lua", "*.ex", "*.exs", "*.erl", "*.hs", "*.r", "*.R", "*.jl", "*.sql", "*.graphql"),
    *("*.sh", "*.bash", "*.ps1", "*.html", "*.css", "*.scss", "*.less", "*.proto", "Dockerfile", "Makefile"),
)

SETTINGS = (
    *("*.json", "*.yml", "*.yaml", "*.toml", "*.ini", "*.cfg", "*.conf", "*.properties", "*.xml", "*.plist"),
    *(".env", ".env.*", "*.env", "*.tf", "*.tfvars", ".npmrc", ".pypirc", ".netrc", "*.pem", "*.key", "id_*"),
)
