# A Rack application with the gem pg whose paths fail in the ways that matter, for Puma.
require 'pg'

STATEMENTS = {
  '/tools' => 'select 1',
  '/twice' => 'insert into tools values (1)',
  '/absent' => 'select * from nothing',
  '/denied' => 'select * from pg_authid',
  '/late' => 'select pg_sleep(5)'
}.freeze

run(lambda do |env|
  raise 'broken' if env['PATH_INFO'] == '/broken'

  connection = PG.connect(ENV.fetch('DATABASE_URL'))
  begin
    connection.exec(STATEMENTS.fetch(env['PATH_INFO']))
  ensure
    connection.close
  end
  [200, { 'Content-Type' => 'text/plain' }, ['done']]
end)
