"""The scripts that ``quilt-mcp completion`` prints. They know nothing of commands: each asks the program that is being typed.

An answer is a line for each candidate, a tab and its meaning after it; a line ``:files`` or ``:folders`` leaves it to the shell.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

BASH: Final = r"""# bash completion of quilt-mcp
_quilt_mcp() {
    local line files=
    COMPREPLY=()
    while IFS= read -r line; do
        case $line in
            :files | :folders) files=$line ;;
            *) COMPREPLY+=("$line") ;;
        esac
    done < <("$1" __complete bash "$COMP_WORDBREAKS" "${COMP_LINE:0:COMP_POINT}" 2>/dev/null)
    if [[ -z $files ]]; then
        compopt +o default 2>/dev/null
    elif [[ $files == :folders ]]; then
        compopt -o dirnames +o default 2>/dev/null
    fi
    if [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *[/=] ]]; then
        compopt -o nospace 2>/dev/null
    fi
}
complete -o default -F _quilt_mcp quilt-mcp
"""

ZSH: Final = r"""#compdef quilt-mcp
_quilt_mcp() {
    local line name
    local -a names shown open
    while IFS= read -r line; do
        case $line in
            :files) _files ;;
            :folders) _files -/ ;;
            *)
                name=${line%%$'\t'*}
                if [[ $name == */ ]]; then
                    open+=("$name")
                else
                    names+=("$name")
                    shown+=("${line/$'\t'/  -- }")
                fi
                ;;
        esac
    done < <("${(Q)words[1]}" __complete zsh "${(@Q)words[2,CURRENT]}" 2>/dev/null)
    (( $#names )) && compadd -l -d shown -- "${names[@]}"
    (( $#open )) && compadd -S '' -- "${open[@]}"
}
if [[ $funcstack[1] == _quilt_mcp ]]; then
    _quilt_mcp "$@"
else
    compdef _quilt_mcp quilt-mcp
fi
"""

FISH: Final = r"""# fish completion of quilt-mcp
function __quilt_mcp
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    for line in ($words[1] __complete fish $words[2..-1] "$current" 2>/dev/null)
        switch $line
            case :files
                __fish_complete_path "$current"
            case :folders
                __fish_complete_directories "$current"
            case '*'
                printf '%s\n' $line
        end
    end
end
complete -c quilt-mcp -f -a '(__quilt_mcp)'
"""

SCRIPTS: Final[Mapping[str, str]] = {"bash": BASH, "zsh": ZSH, "fish": FISH}
