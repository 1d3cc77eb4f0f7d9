# A Rails application in one file, with ActiveRecord and the gem pg, whose actions fail in the ways that matter. With PENDING set it looks
# for migrations that were not applied, as it does in development.
require 'logger'
require 'active_record/railtie'
require 'action_controller/railtie'

class Shop < Rails::Application
  config.root = __dir__
  config.eager_load = false
  config.consider_all_requests_local = false
  config.secret_key_base = 'not a secret: this application only makes a log'
  config.hosts.clear
  config.logger = ActiveSupport::TaggedLogging.new(Logger.new($stdout, formatter: Logger::Formatter.new))
  config.log_level = :info
  config.active_record.migration_error = :page_load if ENV['PENDING']
end

class Tool < ActiveRecord::Base; end

class ToolsController < ActionController::Base
  STATEMENTS = {
    'tools' => 'select 1',
    'absent' => 'select * from nothing',
    'denied' => 'select * from pg_authid',
    'late' => 'select pg_sleep(5)'
  }.freeze

  def show
    case params[:name]
    when 'broken' then raise 'broken'
    when 'twice' then Tool.create!(id: 1)
    else ActiveRecord::Base.connection.execute(STATEMENTS.fetch(params[:name]))
    end
    head :ok
  end
end

Shop.initialize!
Shop.routes.draw { get '/:name', to: 'tools#show' }

run Shop
