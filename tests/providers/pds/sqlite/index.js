// The part of better-sqlite3's interface that kysely and the PDS call, on Node's own SQLite. better-sqlite3 would have to
// be compiled or downloaded from outside the registry; this needs neither.
'use strict'

const { DatabaseSync } = require('node:sqlite')

class Statement {
  constructor(statement) {
    this.statement = statement
    // Whether the statement returns rows, as in better-sqlite3.
    this.reader = statement.columns().length > 0
  }

  all(parameters = []) {
    return this.statement.all(...parameters)
  }

  run(parameters = []) {
    return this.statement.run(...parameters)
  }
}

module.exports = class Database {
  constructor(location, { timeout = 5000 } = {}) {
    this.database = new DatabaseSync(location, { timeout })
  }

  pragma(setting) {
    return this.database.prepare(`PRAGMA ${setting}`).all()
  }

  prepare(sql) {
    return new Statement(this.database.prepare(sql))
  }

  close() {
    this.database.close()
  }
}
