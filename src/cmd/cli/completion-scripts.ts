import { COMPLETE, type SHELLS } from "./arguments.ts";

/**
 * The script for one shell. All ask the program itself, so that they need no
 * change when it does; where it knows nothing, the shell completes files.
 */
export function scriptFor(shell: (typeof SHELLS)[number], program: string): string {
  switch (shell) {
    case "bash":
      return bash(program);
    case "zsh":
      return zsh(program);
    case "fish":
      return fish(program);
  }
}

/** Readline breaks words at `=`: they are put together again, and of `--format=json` only `json` is offered. */
function bash(program: string): string {
  return `# bash completion of ${program}: source <(${program} completion bash)
_${program}_complete() {
  local words=() word
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD}"; do
    if [[ \${#words[@]} -gt 0 && ( $word == "=" || \${words[-1]} == --*= ) ]]; then
      words[-1]+=$word
    else
      words+=("$word")
    fi
  done
  mapfile -t COMPREPLY < <("\${COMP_WORDS[0]}" ${COMPLETE} "\${words[@]}" 2>/dev/null | cut -f1)
  if [[ \${words[-1]} == --*=* && $COMP_WORDBREAKS == *=* ]]; then
    COMPREPLY=("\${COMPREPLY[@]#*=}")
  fi
}
complete -o default -F _${program}_complete ${program}
`;
}

function zsh(program: string): string {
  return `#compdef ${program}
# zsh completion of ${program}: source <(${program} completion zsh), after compinit
_${program}() {
  local -a found candidates
  local line
  found=("\${(@f)$("\${words[1]}" ${COMPLETE} "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  for line in "\${found[@]}"; do
    [[ -n $line ]] && candidates+=("\${\${line%%$'\\t'*}//:/\\\\:}:\${line#*$'\\t'}")
  done
  if (( \${#candidates} )); then
    _describe '${program}' candidates
  else
    _files
  fi
}
compdef _${program} ${program}
`;
}

function fish(program: string): string {
  return `# fish completion of ${program}: ${program} completion fish | source
function __${program}_complete
  set -l words (commandline -opc) (commandline -ct)
  ${program} ${COMPLETE} $words[2..-1] 2>/dev/null
end
complete -c ${program} -a '(__${program}_complete)'
`;
}
