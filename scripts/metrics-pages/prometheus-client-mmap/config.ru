# A Rack application with the collector and the exporter of prometheus-client-mmap as its README sets them up.
require 'rack'
require 'prometheus/client/rack/collector'
require 'prometheus/client/rack/exporter'

use Rack::Deflater, if: ->(env, status, headers, body) { body.any? && body[0].length > 512 }
use Prometheus::Client::Rack::Collector
use Prometheus::Client::Rack::Exporter

run(lambda do |env|
  case env['PATH_INFO']
  when '/tools' then [200, { 'Content-Type' => 'text/plain' }, ['tools']]
  when '/slow'
    sleep 0.35
    [200, { 'Content-Type' => 'text/plain' }, ['slow']]
  when '/broken' then raise 'broken'
  when '/refused' then [503, { 'Content-Type' => 'text/plain' }, ['refused']]
  when '/ready' then [200, { 'Content-Type' => 'text/plain' }, ['ready']]
  else [404, { 'Content-Type' => 'text/plain' }, ['missing']]
  end
end)
