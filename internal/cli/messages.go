package cli

const messagesHelp = `Messages`
