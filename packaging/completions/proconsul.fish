# Completion of proconsul for fish: the program itself says what can follow.
function __complete_proconsul
    set -lx COMP_LINE (commandline -cp)
    test -z (commandline -ct); and set COMP_LINE "$COMP_LINE "
    proconsul
end
complete -f -c proconsul -a "(__complete_proconsul)"
