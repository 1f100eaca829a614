package cli

const messagesHelp = ``
