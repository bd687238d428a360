# Completion of proconsul for bash: the program itself says what can follow.
complete -C proconsul proconsul
