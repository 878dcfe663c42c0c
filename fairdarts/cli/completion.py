"""`fairdarts completion`: a script by which a shell completes verbs, recipes, settings and genotypes."""

from collections.abc import Sequence

from fairdarts.cli.words import Parser

BASH = r"""_fairdarts() {
    local IFS=$'\n'
    COMPREPLY=($("${COMP_WORDS[0]}" complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null | cut -f1))
}
complete -o default -F _fairdarts fairdarts"""

ZSH = r"""#compdef fairdarts
_fairdarts() {
    local -a found
    found=(${(f)"$("${words[1]}" complete "${(@)words[2,CURRENT]}" 2>/dev/null | cut -f1)"})
    if (( $#found )); then compadd -- $found; else _files; fi
}
if [[ $funcstack[1] == _fairdarts ]]; then _fairdarts; else compdef _fairdarts fairdarts; fi"""

FISH = r"""function __fairdarts
    set -l words (commandline -opc) (commandline -ct)
    $words[1] complete $words[2..] 2>/dev/null
end
complete -c fairdarts -a '(__fairdarts)'"""

SCRIPTS = {"bash": BASH, "zsh": ZSH, "fish": FISH}

EPILOG = """For every new shell:

  bash    echo 'eval "$(fairdarts completion bash)"' >> ~/.bashrc
  zsh     echo 'eval "$(fairdarts completion zsh)"' >> ~/.zshrc     after compinit
  fish    fairdarts completion fish > ~/.config/fish/completions/fairdarts.fish"""


def main(argv: Sequence[str]) -> int:
    parser = Parser("completion", "Print a script by which a shell completes the words of fairdarts.", EPILOG)
    parser.add_argument("shell", choices=SCRIPTS)
    print(SCRIPTS[parser.parse_args(argv).shell])
    return 0
